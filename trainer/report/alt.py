"""What each plot shows, in words, for those who cannot see it."""

from collections.abc import Callable, Sequence

import numpy as np

from smear.cells import CELL_TYPES
from trainer.run_folder import Curve, CurveEpoch


def of_confusion(confusion: Sequence[Sequence[int]]) -> str:
    """(5, 5) counts as sentences, a true type each; types that were never given are not named."""
    sentences = []
    for name, counts in zip(CELL_TYPES, confusion, strict=True):
        given = ", ".join(f"{n} as {other}" for other, n in zip(CELL_TYPES, counts, strict=True) if n)
        if given:
            sentences.append(f"Of {sum(counts)} {name}s: {given}.")
    return f"Confusion matrix. {' '.join(sentences)}"


def of_progress(curves: Sequence[Curve]) -> str:
    """First and last value of the mean curves."""
    if not curves:
        return "Learning curves: none were recorded."
    loss = _ends(curves, lambda epoch: epoch.loss, 1, "")
    average = _ends(curves, lambda epoch: epoch.test.class_average if epoch.test else None, 100, " per cent")
    return (
        f"Learning curves of {len(curves)} folds. Mean loss over the training part: {loss}."
        f" Mean class average on unseen pictures: {average}."
    )


def of_types(curves: Sequence[Curve]) -> str:
    """First and last mean recall of each type."""
    ends = [f"{name} {_ends(curves, _recall_of(name), 100, ' per cent')}" for name in CELL_TYPES]
    return f"Mean recall on unseen pictures from the first epoch to the last: {', '.join(ends)}."


def of_reliability(ece: float) -> str:
    """The one figure that the diagram comes to."""
    return (
        "Reliability diagram: share of right answers against confidence in 15 bins, above a histogram of confidence."
        f" The expected calibration error is {ece:.4f}."
    )


def _recall_of(name: str) -> Callable[[CurveEpoch], float | None]:
    return lambda epoch: epoch.test.recall.get(name) if epoch.test else None


def _ends(curves: Sequence[Curve], value: Callable[[CurveEpoch], float | None], factor: float, unit: str) -> str:
    by_epoch: dict[int, list[float]] = {}
    for curve in curves:
        for epoch in curve.epochs:
            if (y := value(epoch)) is not None:
                by_epoch.setdefault(epoch.epoch, []).append(y)
    if not by_epoch:
        return "not recorded"
    first, last = (factor * float(np.mean(by_epoch[number])) for number in (min(by_epoch), max(by_epoch)))
    return f"from {first:.3g} to {last:.3g}{unit}"
