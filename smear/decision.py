"""From an engine's answer to a decision: calibrated probabilities, how strange a cell is, what it counts as."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from smear.cells import CellState


Floats = npt.NDArray[np.float32]

OutsideScore = Literal["max-probability", "energy"]


class OutsideDetector(BaseModel):
    """When a cell counts as outside the five: its score is at or above the threshold. Higher = stranger.

    `max-probability`: 1 - the largest probability (Hendrycks and Gimpel, 2017).
    `energy`: - temperature * log sum exp(logits / temperature) (Liu et al., 2020).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    score: OutsideScore
    threshold: float


class Calibration(BaseModel):
    """What turns logits into decisions: fitted once on cells the network did not train on, kept in the bundle."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    temperature: float = Field(gt=0)
    outside: OutsideDetector


#: Serves networks that nobody has calibrated: the softmax as it is, and nothing called outside the five.
UNCALIBRATED: Final = Calibration(temperature=1.0, outside=OutsideDetector(score="max-probability", threshold=1.0))


@dataclass(frozen=True)
class Decisions:
    """For N cells: probabilities (N, 5), types (N,) indices into CELL_TYPES, outside_score (N,), outside (N,) bool."""

    probabilities: Floats
    types: npt.NDArray[np.int64]
    outside_score: Floats
    outside: npt.NDArray[np.bool_]


def softmax(logits: Floats, temperature: float = 1.0) -> Floats:
    """(N, 5) logits -> (N, 5) probabilities, float32; rows sum to one."""
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True, initial=-np.inf)
    exps = np.exp(scaled)
    probabilities: Floats = (exps / exps.sum(axis=1, keepdims=True)).astype(np.float32)
    return probabilities


def outside_scores(logits: Floats, temperature: float, score: OutsideScore) -> Floats:
    """(N, 5) logits -> (N,) float32, higher = stranger."""
    if score == "max-probability":
        strange: Floats = 1 - softmax(logits, temperature).max(axis=1, initial=0)
    else:
        strange = (-temperature * np.logaddexp.reduce(logits.astype(np.float64) / temperature, axis=1)).astype(
            np.float32
        )
    return strange


def needs_review(state: CellState, probabilities: Sequence[float] | None, review_below: float) -> bool:
    """Whether a person should look at a cell: it is unlike the five, or its most probable type is not probable enough.

    What could not be classified at all is named among the problems, with its reason.
    """
    return state == "outside" or (state == "classified" and max(probabilities or (0.0,)) < review_below)


def decide(logits: Floats, calibration: Calibration) -> Decisions:
    """(N, 5) float32 logits -> Decisions, under a bundle's calibration."""
    probabilities = softmax(logits, calibration.temperature)
    strange = outside_scores(logits, calibration.temperature, calibration.outside.score)
    return Decisions(
        probabilities, probabilities.argmax(axis=1), strange, strange >= np.float32(calibration.outside.threshold)
    )
