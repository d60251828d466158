"""McNemar's exact test of two networks on the same cells, and Holm's correction where several are tested."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest


@dataclass(frozen=True)
class McNemar:
    """Cells that only the first, only the second network got right, and how likely so uneven a split is by chance.

    `p` is two-sided and exact (McNemar, 1947, by the binomial distribution); 1 where the networks never disagree. The
    test takes cells as independent of each other.
    """

    only_first: int
    only_second: int
    p: float


def mcnemar(first_right: npt.NDArray[np.bool_], second_right: npt.NDArray[np.bool_]) -> McNemar:
    """(N,) whether each cell was answered rightly by the first and by the second network."""
    only_first = int((first_right & ~second_right).sum())
    only_second = int((second_right & ~first_right).sum())
    discordant = only_first + only_second
    p = float(binomtest(only_first, discordant, 0.5).pvalue) if discordant else 1.0
    return McNemar(only_first, only_second, p)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values adjusted so that the chance of any false alarm among them stays at the level (Holm, 1979)."""
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted
