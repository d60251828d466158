"""How good predictions are, by type: the figures every report of this project uses."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from smear.cells import CELL_TYPES


Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

_CALIBRATION_BINS: Final = 15
_LEAST_PROBABILITY: Final = 1e-12


@dataclass(frozen=True)
class Scores:
    """Figures over N labelled cells.

    `recall` by type, None where the type does not occur; `class_average` the mean of those there are (the paper's
    headline figure); `confusion` (5, 5) counts, a row a true type; `ece` the expected calibration error over 15 bins
    of equal width (Guo et al., 2017); `nll` the mean negative log-likelihood in nats.
    """

    images: int
    accuracy: float
    class_average: float
    recall: dict[str, float | None]
    confusion: list[list[int]]
    ece: float
    nll: float

    def as_json(self) -> dict[str, Any]:
        """The keys that `trainer evaluate --json` prints, fractions with six digits."""

        def short(value: float | None) -> float | None:
            return None if value is None else round(value, 6)

        return {
            "images": self.images,
            "accuracy": short(self.accuracy),
            "class_average": short(self.class_average),
            "recall": {name: short(value) for name, value in self.recall.items()},
            "confusion": self.confusion,
            "ece": short(self.ece),
            "nll": short(self.nll),
        }


def score(probabilities: Floats, labels: Labels) -> Scores:
    """(N, 5) probabilities and (N,) labels into CELL_TYPES -> Scores; ValueError for no cells at all."""
    if len(labels) == 0:
        raise ValueError("no cells to score")
    predicted = probabilities.argmax(axis=1)
    confusion = confusion_matrix(labels, predicted)
    present = confusion.sum(axis=1)
    recall: dict[str, float | None] = {
        name: float(confusion[i, i] / present[i]) if present[i] else None for i, name in enumerate(CELL_TYPES)
    }
    found = [value for value in recall.values() if value is not None]
    own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return Scores(
        images=len(labels),
        accuracy=float((predicted == labels).mean()),
        class_average=float(np.mean(found)),
        recall=recall,
        confusion=confusion.tolist(),
        ece=expected_calibration_error(probabilities, labels),
        nll=float(-np.log(np.maximum(own, _LEAST_PROBABILITY)).mean()),
    )


def confusion_matrix(labels: Labels, predicted: Labels) -> npt.NDArray[np.int64]:
    """(5, 5) counts: a row a true type, a column a predicted one."""
    n = len(CELL_TYPES)
    return np.bincount(labels * n + predicted, minlength=n * n).reshape(n, n)


def expected_calibration_error(probabilities: Floats, labels: Labels) -> float:
    """Mean over cells of |confidence - accuracy| of their bin, 15 bins of equal width."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = (probabilities.argmax(axis=1) == labels).astype(np.float64)
    bins = np.minimum((confidence * _CALIBRATION_BINS).astype(np.int64), _CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, weights=confidence - right, minlength=_CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(labels))
