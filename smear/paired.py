"""Two networks on the same cells: is the second worse by more than a margin? Tango's score test, limits, power."""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

from smear.beta import root


#: One-sided.
LEVEL: Final = 0.05
#: The true loss at which the power of a test is told.
TOLD_LOSS: Final = 0.05
#: Where the networks agreed on every cell, this share of cells is taken to change for the better by chance.
_LEAST_CHANGE: Final = 0.005


@dataclass(frozen=True)
class Paired:
    """`n` cells, of which the champion alone got `lost` right and the challenger alone `won`."""

    n: int
    lost: int
    won: int

    @property
    def loss(self) -> float:
        """By how much the share of right answers fell; negative where it rose."""
        return (self.lost - self.won) / self.n if self.n else 0.0

    def p_worse(self, margin: float) -> float:
        """One-sided p of "the loss is at most the margin"; 1 for no cells. Tango (1998), asymptotic."""
        return math.erfc(self._score(margin) / math.sqrt(2)) / 2 if self.n else 1.0

    def limits(self) -> tuple[float, float]:
        """95 % limits of the loss, by the same test."""
        if not self.n:
            return (-1.0, 1.0)
        z, edge = NormalDist().inv_cdf(0.975), 1 - 1e-9
        low = root(lambda d: self._score(d) - z, -edge, self.loss) if self._score(-edge) > z else -1.0
        high = root(lambda d: self._score(d) + z, self.loss, edge) if self._score(edge) < -z else 1.0
        return low, high

    def power(self, margin: float, loss: float = TOLD_LOSS, draws: int = 2000) -> float:
        """How likely the test finds a true loss of that size, with as many cells changing for the better as here."""
        if not self.n:
            return 0.0
        better = min(max(self.won / self.n, _LEAST_CHANGE), 1 - loss)
        worse = min(better + loss, 1 - better)
        drawn = np.random.default_rng(0).multinomial(self.n, [worse, better, max(1 - worse - better, 0.0)], draws)
        pairs, counts = np.unique(drawn[:, :2], axis=0, return_counts=True)
        found = [Paired(self.n, int(a), int(b)).p_worse(margin) < LEVEL for a, b in pairs]
        return float(np.average(found, weights=counts))

    def _score(self, d: float) -> float:
        n, lost, won = self.n, self.lost, self.won
        b = -lost - won + (2 * n - lost + won) * d
        c = -won * d * (1 - d)
        q = (np.sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
        variance = n * (2 * q + d * (1 - d))
        if variance <= 0:
            return 0.0 if lost - won == n * d else float(np.sign(lost - won - n * d)) * np.inf
        return float((lost - won - n * d) / np.sqrt(variance))


def paired(champion: npt.NDArray[np.bool_], challenger: npt.NDArray[np.bool_]) -> Paired:
    """(N,) which cells each answered rightly."""
    return Paired(len(champion), int((champion & ~challenger).sum()), int((challenger & ~champion).sum()))
