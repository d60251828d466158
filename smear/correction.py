"""A slide's percentages corrected for label shift: a network trained on one mix of types reads another with a bias.

The mix of the slide is found by expectation maximisation over the calibrated probabilities of its cells (Saerens,
Latinne and Decaestecker, 2002), shrunk weakly towards the mix of blood. The limits are exact binomial ones at the
effective number of cells (Korn and Graubard, 1998): fewer than there are, by as much as the types are confused.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from smear.beta import inverse_incomplete_beta
from smear.cells import CELL_TYPES
from smear.differential import CONFIDENCE


#: The mix of types in adult blood. A weak pull only: a fixed one would erase a real eosinophilia.
IN_BLOOD: Final = np.array([0.62, 0.023, 0.004, 0.30, 0.053])
#: How many cells that pull counts for.
SHRINKAGE_CELLS: Final = 1.0
_PULL: Final = SHRINKAGE_CELLS * IN_BLOOD / IN_BLOOD.sum()
_STEPS: Final = 200
_ENOUGH: Final = 1e-7
#: A probability below this says nothing more; without a floor one certain mistake would decide alone.
_FLOOR: Final = 1e-6

Vector = npt.NDArray[np.float64]


def corrected(
    probabilities: Sequence[Sequence[float]], training_mix: Mapping[str, float]
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Per cent by type and their 95 % limits, one decimal.

    `probabilities` (N, 5), N >= 1, calibrated, in CELL_TYPES order; `training_mix` the shares the network learnt with.
    """
    trained = np.array([max(float(training_mix.get(t, 0.0)), _FLOOR) for t in CELL_TYPES])
    given = np.maximum(np.asarray(probabilities, dtype=np.float64), _FLOOR)
    likelihood = given / trained  # (N, 5), up to a factor a row: p(cell | type)
    mix = _mix(likelihood)
    sizes = _effective_cells(likelihood, mix)
    percent: dict[str, float] = {t: round(100 * float(mix[i]), 1) for i, t in enumerate(CELL_TYPES)}
    limits: dict[str, tuple[float, float]] = {
        t: _limits(float(mix[i]), float(sizes[i])) for i, t in enumerate(CELL_TYPES)
    }
    return percent, limits


def _mix(likelihood: Vector) -> Vector:
    cells = len(likelihood)
    mix = np.full(len(CELL_TYPES), 1 / len(CELL_TYPES))
    for _ in range(_STEPS):
        joint = likelihood * mix
        expected = (joint / joint.sum(axis=1, keepdims=True)).sum(axis=0)
        new = (expected + _PULL) / (cells + SHRINKAGE_CELLS)
        done = np.abs(new - mix).max() < _ENOUGH
        mix = new
        if done:
            break
    return mix


def _effective_cells(likelihood: Vector, mix: Vector) -> Vector:
    """For each type, the number of cells that would tell as much if every cell's type were known. At most N."""
    cells = len(likelihood)
    scores = likelihood / (likelihood * mix).sum(axis=1, keepdims=True)  # (N, 5)
    # Shares sum to one: the last direction is left out by a basis of the simplex' tangent space.
    basis = np.vstack([np.eye(4), -np.ones((1, 4))])
    # What the pull knows belongs in: of a type that no cell shows, the cells alone say nothing, not even "rare".
    told = scores.T @ scores + np.diag(_PULL / mix**2)
    information = basis.T @ told @ basis
    covariance = basis @ np.linalg.pinv(information) @ basis.T
    variance = np.diag(covariance)
    ideal = mix * (1 - mix)
    return np.clip(np.where(variance > 0, ideal / np.maximum(variance, 1e-12), cells), 1.0, float(cells))


def _limits(share: float, cells: float) -> tuple[float, float]:
    count, tail = share * cells, (1 - CONFIDENCE) / 2
    low = 0.0 if count <= 0 else inverse_incomplete_beta(count, cells - count + 1, tail)
    high = 1.0 if count >= cells else inverse_incomplete_beta(count + 1, cells - count, 1 - tail)
    return round(100 * low, 1), round(100 * high, 1)
