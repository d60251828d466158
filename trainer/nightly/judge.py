"""Stage `judge`: champion and challenger on the shipped hold-out, the laboratory's, and cells outside the five."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from smear import bundle, shipped
from smear.bundle import BadBundle, Bundle
from smear.cells import CELL_TYPES
from smear.geometry import profile
from smear.runs import OF_A_NIGHT
from trainer import produce, reference
from trainer.judge import OutsideSet, read_outside
from trainer.nightly import rules, snapshot
from trainer.nightly.rules import Part, Verdict
from trainer.nightly.snapshot import LabCells, Logits, Snapshot


#: As many of the labels that are contradicted most are named, for people to look at again.
_DOUBTFUL: Final = 30


def judge(folder: Path, champion: Bundle, challenger: Bundle, first: Bundle, built: dict[str, Any]) -> dict[str, Any]:
    """The scorecard as JSON: every number with its interval, every rule with its verdict."""
    collected = snapshot.load(folder)
    holdout = produce.shipped_holdout()
    strange = outside_set()
    old, new = champion.manifest.calibration, challenger.manifest.calibration
    shipped_part = Part(
        "shipped hold-out", holdout.labels, _logits(champion, holdout.images), _logits(challenger, holdout.images),
        [None] * len(holdout.labels),
    )  # fmt: skip
    own = collected.judge
    lab_part = Part(
        "laboratory's hold-out", own.labels, _logits(champion, own.images), _logits(challenger, own.images),
        [str(slide) for slide in own.slides],
    )  # fmt: skip
    opinions = snapshot.load_opinions(folder)
    fresh, fresh_logits = _fresh(collected, opinions)
    learn, asked = collected.learn, collected.learn.new
    verdicts: list[Verdict] = [
        *rules.recall_rules(shipped_part),
        *rules.recall_rules(lab_part),
        rules.better(lab_part),
        rules.anchored(shipped_part, _logits(first, holdout.images)),
        rules.calibrated(shipped_part, old, new),
        rules.calibrated(lab_part, old, new),
        rules.outside(_logits(champion, strange.images), _logits(challenger, strange.images), old, new),
        rules.consistent(learn.labels[asked], opinions[0][asked]),
        rules.as_before(learn.labels, opinions[0], asked),
        rules.compiled(built),
        rules.throughput(built),
    ]
    broken = [verdict for verdict in verdicts if not verdict.kept]
    return {
        "champion": champion.bundle_id,
        "challenger": challenger.bundle_id,
        "first": first.bundle_id,
        "passed": not broken,
        "reason": "; ".join(verdict.sentence for verdict in broken) or "every rule is kept",
        "rules": [verdict.as_json() for verdict in verdicts],
        "parts": {part.name: rules.scores_of(part, old, new) for part in (shipped_part, lab_part)},
        "collected": collected.facts,
        "doubtful": _doubtful(fresh, fresh_logits),
    }


def outside_set() -> OutsideSet:
    """The shipped handful of cells outside the five: cut already."""
    return read_outside(shipped.folder("outside"), profile("whole"))


def first_of_line(models: Path, champion: Bundle) -> Bundle:
    """The bundle that the champion's line began with, as far as its ancestors are still there."""
    return _up(models, champion, lambda _: True)


def before_nights(models: Path, champion: Bundle) -> Bundle:
    """The bundle that nights began from: the nearest ancestor that none of them made, as far as they are still there.

    Not the first of the line: what a person has fine-tuned meanwhile (`trainer finetune`) stays.
    """
    return _up(models, champion, lambda found: found.manifest.name.startswith(OF_A_NIGHT))


def _up(models: Path, champion: Bundle, further: Callable[[Bundle], bool]) -> Bundle:
    known: dict[str, Bundle] = {}
    for path in sorted(models.glob(f"[!.]*/{bundle.MANIFEST}")):
        try:
            found = bundle.load(path.parent)
        except BadBundle:
            continue  # an ancestor that is damaged ends the line
        known[found.bundle_id] = found
    first, seen = champion, {champion.bundle_id}
    while further(first) and (parent := first.manifest.parent) in known and parent not in seen:
        first = known[parent]
        seen.add(parent)
    return first


def _logits(subject: Bundle, images: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.float32]]:
    return reference.answers(subject.network, images)[0]


def _fresh(collected: Snapshot, opinions: tuple[Logits, Logits]) -> tuple[LabCells, Logits]:
    """The night's new labels, learned from or not, and what was said of them by what learned."""
    parts = [part.take(part.new) for part in (collected.learn, collected.judge)]
    cells = LabCells(
        np.concatenate([p.images for p in parts]), np.concatenate([p.labels for p in parts]),
        np.concatenate([p.slides for p in parts]), np.concatenate([p.new for p in parts]),
        parts[0].sha256 + parts[1].sha256,
    )  # fmt: skip
    return cells, np.concatenate([opinions[0][collected.learn.new], opinions[1][collected.judge.new]])


def _doubtful(cells: LabCells, logits: np.ndarray[Any, np.dtype[np.float32]]) -> list[dict[str, Any]]:
    """New labels that what learned them contradicts, the surest first: content, slide, what it says instead."""
    said = logits.argmax(axis=1)
    margin = logits[np.arange(len(said)), said] - logits[np.arange(len(said)), cells.labels]
    worst = [int(i) for i in np.argsort(-margin) if said[i] != cells.labels[i]][:_DOUBTFUL]
    names = CELL_TYPES
    return [
        {
            "sha256": cells.sha256[i],
            "slide": int(cells.slides[i]),
            "label": names[cells.labels[i]],
            "said": names[said[i]],
        }
        for i in worst
    ]
