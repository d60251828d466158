"""The figures of a run that every page of its report tells: Table 3, pooled recall with limits, the paper beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from smear.cells import CELL_TYPES
from smear.differential import exact_limits
from trainer.resample import RESAMPLES, Interval, interval, resample
from trainer.run_folder import Cells, Fold, Result, Run
from trainer.scores import Scores, score


#: Recall in per cent, Jung et al. (2019), Table 3, on 6,562 pictures of their own from a DI-60.
PAPER_RECALL: Final = {"neutrophil": 98, "eosinophil": 97, "basophil": 95, "lymphocyte": 97, "monocyte": 97}
PAPER_AVERAGE: Final = 97
PAPER_NOTE: Final = (
    "The paper's figures (Jung et al., 2019, W-Net) are of its own 6,562 DI-60 pictures: another data set, so the two"
    " columns do not say which network is better."
)
DEVIATION_NOTE: Final = "Deviation: the standard deviation over the folds, divided by their number (not by one less)."
LIMITS_NOTE: Final = (
    "Limits: exact binomial 95 % for each type; for class average and accuracy the 2.5th and 97.5th percentile of"
    f" {RESAMPLES:,} bootstrap resamples, stratified by type, groups drawn whole. They tell"
    " how much other cells would move the figure, not how much another training with another seed would, and shrink to"
    " nothing where no cell at all is wrong."
)


@dataclass(frozen=True)
class Row:
    """A line of Table 3 in per cent: a figure of each fold (None where a fold lacks the type), mean, deviation.

    `deviation` is the standard deviation over the folds, as `accuracy_std` in cv.json; None with a single fold.
    """

    name: str
    folds: tuple[float | None, ...]
    mean: float | None
    deviation: float | None


@dataclass(frozen=True)
class Pooled:
    """One type over all folds: right of cells, recall and exact binomial 95 % limits in per cent."""

    name: str
    right: int
    cells: int
    recall: float | None
    limits: tuple[float, float] | None
    paper: int


@dataclass(frozen=True)
class Facts:
    """All of it. `class_average` and `accuracy` in per cent with bootstrap limits; `rows` with both at the end."""

    run: Run
    scores: Scores
    fold_numbers: tuple[int, ...]
    rows: tuple[Row, ...]
    pooled: tuple[Pooled, ...]
    class_average: Interval
    accuracy: Interval
    result: Result

    @property
    def errors(self) -> int:
        """How many cells were taken for another type."""
        return int((~self.run.cells.right).sum())


def facts(run: Run, result: Result) -> Facts:
    """Count everything that the report tells."""
    cells = run.cells
    scores = score(cells.probabilities, cells.labels)
    drawn = resample(cells.labels, cells.right[:, None], cells.groups)
    return Facts(
        run=run,
        scores=scores,
        fold_numbers=tuple(fold.fold for fold in result.folds),
        rows=table3(result.folds),
        pooled=_pooled(cells),
        class_average=interval(100 * scores.class_average, 100 * drawn.class_average[:, 0]),
        accuracy=interval(100 * scores.accuracy, 100 * drawn.accuracy[:, 0]),
        result=result,
    )


def table3(folds: Sequence[Fold]) -> tuple[Row, ...]:
    """The paper's Table 3: recall of each type by fold, then class average and accuracy."""
    return (
        *(_row(name, [fold.recall.get(name) for fold in folds]) for name in CELL_TYPES),
        _row("class average", [fold.class_average for fold in folds]),
        _row("accuracy", [fold.accuracy for fold in folds]),
    )


def _row(name: str, shares: Sequence[float | None]) -> Row:
    percent = tuple(None if share is None else 100 * share for share in shares)
    known = [value for value in percent if value is not None]
    return Row(
        name,
        percent,
        mean=float(np.mean(known)) if known else None,
        deviation=float(np.std(known)) if len(known) > 1 else None,
    )


def _pooled(cells: Cells) -> tuple[Pooled, ...]:
    lines = []
    for number, name in enumerate(CELL_TYPES):
        own = cells.right[cells.labels == number]
        right, n = int(own.sum()), len(own)
        limits = exact_limits(right, n) if n else None
        lines.append(Pooled(name, right, n, 100 * right / n if n else None, limits, PAPER_RECALL[name]))
    return tuple(lines)
