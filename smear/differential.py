"""The five-part differential of a slide: counts, percentages, exact binomial 95 % limits.

Limits are Clopper and Pearson's (1934), the basis of Ruemke's table that haematologists know.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from smear.beta import inverse_incomplete_beta
from smear.cells import CELL_TYPES


CONFIDENCE: Final = 0.95

Remark = Literal["withheld", "low count", "not blood"]


@dataclass(frozen=True)
class Differential:
    """Counts by type; percentages and limits in per cent, one decimal, None where they are withheld."""

    counts: dict[str, int]
    percent: dict[str, float] | None
    ci95: dict[str, tuple[float, float]] | None
    remark: Remark | None


@lru_cache(maxsize=8192)
def exact_limits(count: int, total: int) -> tuple[float, float]:
    """Clopper-Pearson 95 % limits of count/total, in per cent. `0 <= count <= total`, `total >= 1`."""
    if not 0 <= count <= total or total < 1:
        raise ValueError(f"no proportion: {count} of {total}")
    tail = (1 - CONFIDENCE) / 2
    low = 0.0 if count == 0 else inverse_incomplete_beta(count, total - count + 1, tail)
    high = 1.0 if count == total else inverse_incomplete_beta(count + 1, total - count, 1 - tail)
    return 100 * low, 100 * high


def differential(counts: Mapping[str, int], *, min_cells: int, low_count_cells: int) -> Differential:
    """The differential of these counts; percentages are withheld below `min_cells`, marked below `low_count_cells`."""
    ordered: dict[str, int] = {cell_type: int(counts.get(cell_type, 0)) for cell_type in CELL_TYPES}
    total = sum(ordered.values())
    if total < min_cells or total == 0:
        return Differential(ordered, None, None, "withheld")
    percent = {t: round(100 * n / total, 1) for t, n in ordered.items()}
    limits = {t: exact_limits(n, total) for t, n in ordered.items()}
    ci95 = {t: (round(low, 1), round(high, 1)) for t, (low, high) in limits.items()}
    return Differential(ordered, percent, ci95, "low count" if total < low_count_cells else None)
