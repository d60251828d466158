"""What must come out: slides laid out with a known answer, and a database held against it.

The answer is that of `worker classify` of the same folders, undisturbed: the same pictures through the same code,
without watcher, queue or database. Every column that is not a row number or a time is compared.
"""

import csv
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from sqlmodel import Session, col, select

from smear import shipped
from smear.cells import CELL_TYPES
from smear.report import CELL_COUNTS
from smear.spreadsheet import inert
from smear.store import Store
from smear.tables import BundleRow, CellRow, DifferentialRow, PictureRow, PredictionRow, RevisionRow, SlideRow


PROJECT: Final = Path(__file__).resolve().parents[2]
#: By so much a probability may differ where pictures were in batches of other sizes; the type may not.
OTHER_BATCH: Final = 0.02
#: Answers that are no answer yet.
UNFINISHED: Final = frozenset({"arriving", "queued"})


def pictures() -> list[Path]:
    """Cell pictures to make slides of: the larger set where it is, else the shipped samples."""
    data = Path(os.environ.get("WNET_TEST_DATA") or PROJECT.parent / "shared" / "data") / "pbc"
    found = sorted(data.glob("*/*.jpg")) if data.is_dir() else []
    return found or sorted(shipped.folder("samples").glob("*/*.jpg"))


def lay_out(folder: Path, slides: int, cells: int, seed: int = 0) -> None:
    """So many slides of so many distinct contents: pictures told apart by padding behind their end marker."""
    dice, sources = random.Random(seed), pictures()
    for s in range(slides):
        slide = folder / f"P-{s:04d}"
        slide.mkdir(parents=True)
        for c in range(cells):
            data = dice.choice(sources).read_bytes() + b"\0" * c
            (slide / f"cell_{c:04d}.jpg").write_bytes(data)


@dataclass(frozen=True)
class Expected:
    """What must be known of a slide: its JSON object, and of each of its files what was said.

    `revisions` is how many it may have; None where the way of writing leaves that open.
    """

    told: dict[str, Any]
    files: dict[str, dict[str, Any]]
    revisions: int | None = 1


Truth = dict[str, Expected]


def classified(paths: list[Path], work: Path) -> Truth:
    """What `worker classify` says of slides, or of the slides in a folder."""
    work.mkdir(parents=True, exist_ok=True)
    cells = work / "cells.csv"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WNET_")}
    done = subprocess.run(
        [sys.executable, "-c", "from worker.cli import main; main()", "classify", *map(str, paths), "--json",
         "--cells", str(cells)],
        cwd=PROJECT, env=environment | {"WNET_VAR": str(work / "none")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in {0, 1}, done.stderr
    files: dict[str, dict[str, dict[str, Any]]] = {}
    with cells.open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            files.setdefault(_as_named(row["slide_id"]), {})[_as_named(row["file"])] = _said_by_csv(row)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    return {one["slide_id"]: Expected(one, files.get(one["slide_id"], {})) for one in told}


def _as_named(text: str) -> str:
    """A name without the apostrophe by which a CSV keeps spreadsheets from calculating it."""
    return text[1:] if inert({"": text[1:]})[""] == text else text


def _said_by_csv(row: dict[str, str]) -> dict[str, Any]:
    numbers = [*(f"p_{t}" for t in CELL_TYPES), "outside_score"]
    return {
        **{name: row[name] or None for name in ("sha256", "state", "type", "problem")},
        **{name: float(row[name]) if row[name] else None for name in numbers},
    }


class Pool:
    """Slides with their answer, laid out once and copied into a drop folder as often as wanted."""

    def __init__(self, folder: Path, slides: int, cells: int) -> None:
        self.folder, self._answer = folder, folder.with_suffix(".truth.json")
        if not self._answer.exists():
            shutil.rmtree(folder, ignore_errors=True)
            lay_out(folder, slides, cells)
            truth = classified([folder], folder.with_suffix(".work"))
            kept = {name: [e.told, e.files] for name, e in truth.items()}
            self._answer.write_text(json.dumps(kept), encoding="utf-8")
        self._truth = {n: Expected(*both) for n, both in json.loads(self._answer.read_text(encoding="utf-8")).items()}
        self._names = sorted(self._truth)

    def __len__(self) -> int:
        return len(self._names)

    def slide(self, number: int) -> Path:
        """The folder of the pool's slide of that number, counted round."""
        return self.folder / self._names[number % len(self)]

    def expected(self, number: int, name: str) -> Expected:
        """What must come out of it under another name."""
        one = self._truth[self._names[number % len(self)]]
        return Expected(one.told | {"slide_id": name}, one.files, one.revisions)


# --- the comparison ----------------------------------------------------------------------------------------------


@dataclass
class Verdict:
    """How many slides are missing, there twice, or wrong; `details` says which and how."""

    missing: int = 0
    twice: int = 0
    wrong: int = 0
    details: list[str] = field(default_factory=list)

    def __iadd__(self, other: "Verdict") -> Self:
        self.missing, self.twice, self.wrong = (
            self.missing + other.missing,
            self.twice + other.twice,
            self.wrong + other.wrong,
        )
        self.details += other.details
        return self

    @property
    def right(self) -> bool:
        """Nothing lost, nothing twice, nothing wrong."""
        return not (self.missing or self.twice or self.wrong)


def compare(store: Store, truth: Truth, prefix: str = "") -> Verdict:
    """Hold the slides whose name begins with the prefix against the truth.

    Each slide counts once, under the first that holds: missing, twice, wrong.
    """
    verdict = Verdict()
    with store.read() as session:
        there: dict[str, list[SlideRow]] = {}
        for slide in session.exec(select(SlideRow).where(col(SlideRow.slide_id).startswith(prefix, autoescape=True))):
            there.setdefault(slide.slide_id, []).append(slide)
        for name, expected in sorted(truth.items()):
            lost, doubled, wrong = _judge(session, there.pop(name, []), expected)
            verdict.missing += bool(lost)
            verdict.twice += bool(doubled and not lost)
            verdict.wrong += bool(wrong and not lost and not doubled)
            verdict.details += [f"{name}: {what}" for what in [*lost, *doubled, *wrong][:3]]
        verdict.twice += len(there)
        verdict.details += [f"{name}: nobody dropped it" for name in there]
    return verdict


def _judge(session: Session, slides: list[SlideRow], expected: Expected) -> tuple[list[str], list[str], list[str]]:
    """(what is missing, what is there twice, what is wrong) of one slide, in words."""
    if not slides:
        return ["never seen"], [], []
    revisions = list(
        session.exec(select(RevisionRow).where(RevisionRow.slide == slides[0].id).order_by(col(RevisionRow.number)))
    )
    latest = revisions[-1]
    if latest.state in UNFINISHED:
        return [f"revision {latest.number} is {latest.state} after {latest.attempts} attempts"], [], []
    differentials = session.exec(
        select(DifferentialRow, BundleRow)
        .join(BundleRow, col(BundleRow.id) == col(DifferentialRow.bundle))
        .where(DifferentialRow.revision == latest.id)
    ).all()
    if not differentials and expected.told["bundle"] and expected.files:
        return [f"{latest.state} without a result: {latest.reason}"], [], []
    doubled = []
    if len(slides) > 1:
        doubled.append(f"{len(slides)} slides of that name")
    if len(differentials) > 1:
        doubled.append(f"{len(differentials)} results of one revision")
    if expected.revisions is not None and len(revisions) != expected.revisions:
        doubled.append(f"{len(revisions)} revisions, {expected.revisions} expected")
    files = list(_said_by_rows(session, latest))
    if again := [path for path, n in Counter(path for path, _ in files).items() if n > 1]:
        doubled.append(f"{again[0]} is there more than once")
    wrong = list(_differences(latest, differentials, dict(files), expected))
    return [], doubled, wrong


def _said_by_rows(session: Session, revision: RevisionRow) -> Iterator[tuple[str, dict[str, Any]]]:
    """(path, what was said) of each of a revision's files, in the words of `--cells`."""
    rows = session.exec(
        select(PictureRow, CellRow, PredictionRow)
        .join(CellRow, col(CellRow.id) == col(PictureRow.cell), isouter=True)
        .join(PredictionRow, col(PredictionRow.cell) == col(PictureRow.cell), isouter=True)
        .where(PictureRow.revision == revision.id)
    )
    for picture, cell, said in rows:
        if said is None:  # a file that gave no bytes
            nothing = dict.fromkeys(["sha256", "type", *(f"p_{t}" for t in CELL_TYPES), "outside_score"])
            yield picture.path, nothing | {"state": "unreadable", "problem": picture.problem}
            continue
        yield (
            picture.path,
            {
                "sha256": cell.sha256, "state": said.state, "type": said.cell_type, "problem": picture.problem,
                **{f"p_{t}": getattr(said, f"p_{t}") for t in CELL_TYPES}, "outside_score": said.outside_score,
            },
        )  # fmt: skip


def _differences(
    latest: RevisionRow, differentials: Iterable[Any], files: dict[str, Any], expected: Expected
) -> Iterator[str]:
    told = expected.told
    # Tried once, it was read in one batch as the undisturbed run was, and must be the same to the last digit. After a
    # worker's death pictures are taken one by one, and sums in another order end in other digits.
    tolerance = 0.0 if latest.attempts <= 1 else OTHER_BATCH
    if latest.state != told["state"]:
        yield f"{latest.state} ({latest.reason}), {told['state']} expected"
    for row, bundle in differentials:
        found = {
            "cells": {name: getattr(row, name) for name in CELL_COUNTS},
            "counts": {t: getattr(row, t) for t in CELL_TYPES},
            "percent": row.percent, "ci95": row.ci95, "problems": row.problems,
            "bundle": bundle.bundle_id, "backend": row.backend,
        }  # fmt: skip
        yield from (f"{key} is {value}, {told[key]} expected" for key, value in found.items() if value != told[key])
    yield from (f"{path} is not in the database" for path in expected.files.keys() - files.keys())
    yield from (f"{path} is none of its files" for path in files.keys() - expected.files.keys())
    for path in expected.files.keys() & files.keys():
        for key, value in expected.files[path].items():
            if not _same(files[path][key], value, tolerance):
                yield f"{path}: {key} is {files[path][key]}, {value} expected"


def _same(found: Any, expected: Any, tolerance: float) -> bool:
    if tolerance and isinstance(found, float) and isinstance(expected, float):
        return abs(found - expected) <= tolerance
    return bool(found == expected)
