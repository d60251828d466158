"""The bootstrap over judged cells: how much a recall, an average or a difference would move with other cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from smear.cells import CELL_TYPES
from trainer.scores import Labels


RESAMPLES: Final = 10_000
SEED: Final = 0

_N: Final = len(CELL_TYPES)


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % limits: the 2.5th and 97.5th percentile over the resamples."""

    value: float
    low: float
    high: float

    def as_json(self, digits: int = 3) -> dict[str, float]:
        """{"value", "low", "high"}, rounded."""
        return {name: round(x, digits) for name, x in (("value", self.value), ("low", self.low), ("high", self.high))}

    @property
    def without_zero(self) -> bool:
        """Zero lies outside the limits."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Resampled:
    """Shares of right answers by R networks over B resamples; recall is nan where a resample lacks the type.

    `recall` (B, R, 5), `class_average` and `accuracy` (B, R), all float64; `clusters` is how many were drawn from.
    """

    recall: npt.NDArray[np.float64]
    class_average: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]
    clusters: int


def resample(
    labels: Labels,
    right: npt.NDArray[np.bool_],
    groups: Sequence[str | None],
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Resampled:
    """(N,) labels, (N, R) right answers and the groups cells belong to -> the figures over `resamples` draws.

    Groups are drawn whole (a cell without one is its own), and R networks see the same draws. Draws are stratified by
    type: as many groups of each type are drawn as there are; groups of more than one type, such as patients, are a
    stratum of their own. Groups with the same outcome are interchangeable, so a stratum's draw is one multinomial over
    its distinct outcomes: the same distribution as drawing groups one by one, without a loop over cells.
    """
    outcomes = _outcomes(labels, right, groups)
    kinds = (outcomes[:, :_N] > 0).sum(axis=1)
    stratum = np.where(kinds == 1, outcomes[:, :_N].argmax(axis=1), _N)
    random = np.random.default_rng(seed)
    sums = np.zeros((resamples, outcomes.shape[1]))
    for number in range(_N + 1):
        own = outcomes[stratum == number]
        if len(own):
            distinct, counts = np.unique(own, axis=0, return_counts=True)
            sums += random.multinomial(len(own), counts / len(own), size=resamples) @ distinct
    cells, found = sums[:, :_N], sums[:, _N:].reshape(resamples, right.shape[1], _N)
    recall = np.divide(found, cells[:, None, :], out=np.full_like(found, np.nan), where=cells[:, None, :] > 0)
    return Resampled(
        recall=recall,
        class_average=np.nanmean(recall, axis=2),
        accuracy=found.sum(axis=2) / cells.sum(axis=1)[:, None],
        clusters=len(outcomes),
    )


def interval(value: float, draws: npt.NDArray[np.float64]) -> Interval:
    """The value with the 95 % limits of (B,) draws of it; draws that are nan do not count."""
    known = draws[~np.isnan(draws)]
    low, high = np.percentile(known, [2.5, 97.5]) if len(known) else (value, value)
    return Interval(value, float(low), float(high))


def _outcomes(labels: Labels, right: npt.NDArray[np.bool_], groups: Sequence[str | None]) -> npt.NDArray[np.float64]:
    """A row a group: its cells of each type, then the right answers of each network by type; (G, 5 + 5 R)."""
    keys = [(True, number) if group is None else (False, group) for number, group in enumerate(groups)]
    rows: dict[tuple[bool, int | str], int] = {}
    row = np.array([rows.setdefault(key, len(rows)) for key in keys], np.int64)
    one_hot = np.eye(_N)[labels]
    per_cell = np.concatenate([one_hot, *(one_hot * answers[:, None] for answers in right.T)], axis=1)
    outcomes = np.zeros((len(rows), per_cell.shape[1]))
    np.add.at(outcomes, row, per_cell)
    return outcomes
