"""A slide's pictures to its differential: the work itself, without database or queue."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from smear.bundle import Bundle
from smear.cells import CELL_TYPES, CellState, CellType
from smear.completeness import Completeness
from smear.correction import corrected
from smear.decision import decide, needs_review
from smear.differential import Differential, differential
from smear.flags import flags
from smear.intervals import ADULT, Intervals
from smear.layouts.manifest import picture_files
from smear.report import slide_object
from smear.slide_facts import SlideFacts
from worker.engines.face import Engine, Floats, Images
from worker.reading import ReadPicture


@dataclass(frozen=True)
class Cell:
    """One content of a slide: what it is, with the five probabilities in CELL_TYPES order where it was classified."""

    sha256: str | None
    state: CellState
    cell_type: CellType | None = None
    probabilities: tuple[float, ...] | None = None
    outside_score: float | None = None
    problem: str | None = None


@dataclass(frozen=True)
class SlideResult:
    """What a bundle makes of a slide: each file with the cell it holds, and the differential over distinct cells."""

    files: list[tuple[ReadPicture, Cell]]
    cells: list[Cell]
    differential: Differential
    bundle_id: str
    backend: str
    corrected: dict[str, float] | None = None
    corrected_ci95: dict[str, tuple[float, float]] | None = None
    needs_review: int = 0

    @property
    def cell_counts(self) -> dict[str, int]:
        """Distinct cells by what became of them, and in all."""
        counted = Counter(cell.state for cell in self.cells)
        return {"total": len(self.cells), **{str(state): n for state, n in counted.items()}}

    @property
    def picture_files(self) -> int:
        """How many picture files of the slide there were, two of the same content counted twice."""
        return picture_files((picture.path, cell.problem) for picture, cell in self.files)

    @property
    def problems(self) -> list[dict[str, str]]:
        """Every file that was not classified because something is wrong with it, with the reason."""
        return [{"file": picture.path, "reason": cell.problem} for picture, cell in self.files if cell.problem]

    @property
    def failure(self) -> str | None:
        """Why the slide as a whole came to nothing; None where at least one cell was looked at."""
        if not self.cells:
            return "no pictures in its folder"
        if all(cell.state in {"misfit", "unreadable"} for cell in self.cells):
            first = self.problems[0]
            n = len(self.files)
            every = "its only picture could not" if n == 1 else f"none of its {n} pictures could"
            return f"{every} be used; {first['file']}: {first['reason']}"
        return None

    def flags(self, intervals: Intervals, wbc_10e9_L: float | None = None) -> list[dict[str, Any]]:  # noqa: N803 - the unit's own spelling
        """What the reference intervals say of the differential."""
        return flags(self.differential.percent, self.differential.ci95, intervals, wbc_10e9_L)

    def to_object(
        self,
        *,
        source: str,
        slide_id: str,
        revision: int = 1,
        intervals: Intervals = ADULT,
        facts: SlideFacts | None = None,
    ) -> dict[str, Any]:
        """The slide's JSON object. `facts` are of its sidecar; without a WBC count in them flags are relative."""
        facts = facts or SlideFacts()
        problems = self.problems or ([{"file": "", "reason": self.failure}] if self.failure else [])
        return slide_object(
            source=source,
            slide_id=slide_id,
            revision=revision,
            state="failed" if self.failure else "classified",
            cells=self.cell_counts,
            files=self.picture_files,
            expected_cells=facts.expected_cells,
            complete=Completeness(facts.expected_cells, self.picture_files).complete,
            counts=self.differential.counts,
            percent=self.differential.percent,
            ci95=self.differential.ci95,
            problems=[*problems, *facts.problems],
            bundle=self.bundle_id,
            backend=self.backend,
            prior_adjusted=self.corrected,
            prior_adjusted_ci95=self.corrected_ci95,
            needs_review=self.needs_review,
            flags=self.flags(intervals, (facts.values or {}).get("wbc_10e9_L")),
        )


class BadAnswer(Exception):
    """An engine answered with what is not a number: its answers are not to be used."""


def classify(
    chunks: Iterable[list[ReadPicture]],
    bundle: Bundle,
    engine: Engine,
    *,
    min_cells: int,
    low_count_cells: int,
    review_below: float = 0.9,
) -> SlideResult:
    """Classify each distinct content of a slide once; pixels are let go chunk by chunk. Raises BadAnswer."""
    by_content: dict[str, Cell] = {}
    files: list[tuple[ReadPicture, Cell]] = []
    for chunk in chunks:
        new = {p.sha256: p for p in chunk if p.pixels is not None and p.sha256 not in by_content}
        by_content.update(_classify_chunk(list(new.values()), bundle, engine))
        files += [(replace(picture, pixels=None), _cell_of(picture, by_content)) for picture in chunk]
    distinct = {cell.sha256: cell for _, cell in files if cell.sha256 is not None}
    # A file that gave no bytes cannot be told from another such file: each counts.
    cells = [*distinct.values(), *(cell for _, cell in files if cell.sha256 is None)]
    counts = Counter(cell.cell_type for cell in cells if cell.state == "classified")
    reported = differential({t: counts[t] for t in CELL_TYPES}, min_cells=min_cells, low_count_cells=low_count_cells)
    of_five = [cell.probabilities for cell in cells if cell.state == "classified" and cell.probabilities]
    percent = ci95 = None
    if reported.percent is not None:
        percent, ci95 = corrected(of_five, bundle.manifest.training_mix)
    return SlideResult(
        files=files,
        cells=cells,
        differential=reported,
        bundle_id=bundle.bundle_id,
        backend=engine.name,
        corrected=percent,
        corrected_ci95=ci95,
        needs_review=sum(needs_review(cell.state, cell.probabilities, review_below) for cell in cells),
    )


def infer(engine: Engine, images: Images) -> Floats:
    """One batch, (N, 128, 128, 3) uint8, through the network: its logits, (N, 5) float32. Raises BadAnswer."""
    logits, _ = engine.infer(images)
    if not np.isfinite(logits).all():
        raise BadAnswer(f"{engine.name} answered with values that are not numbers")
    return logits


def _classify_chunk(chunk: list[ReadPicture], bundle: Bundle, engine: Engine) -> dict[str, Cell]:
    if not chunk:
        return {}
    images = np.stack([p.pixels for p in chunk if p.pixels is not None])
    logits = infer(engine, images)
    decisions = decide(logits, bundle.manifest.calibration)
    cells: dict[str, Cell] = {}
    for i, picture in enumerate(chunk):
        assert picture.sha256 is not None
        outside = bool(decisions.outside[i])
        cells[picture.sha256] = Cell(
            picture.sha256,
            "outside" if outside else "classified",
            CELL_TYPES[int(decisions.types[i])],
            tuple(round(float(p), 6) for p in decisions.probabilities[i]),
            round(float(decisions.outside_score[i]), 6),
        )
    return cells


def _cell_of(picture: ReadPicture, by_content: dict[str, Cell]) -> Cell:
    if picture.trouble is not None:
        return Cell(picture.sha256, picture.trouble, problem=picture.problem)
    assert picture.sha256 is not None
    return by_content[picture.sha256]
