"""Flags of a differential against reference intervals: on absolute counts, or on per cent without a WBC count.

A flag is `certain` where the whole 95 % interval lies beyond the limit, and borderline where it spans it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from smear.cells import CELL_TYPES
from smear.intervals import Intervals


#: (below, above) by cell type; None where too few of a type is no finding.
_NAMES: Final[dict[str, tuple[str | None, str]]] = {
    "neutrophil": ("neutropenia", "neutrophilia"),
    "eosinophil": (None, "eosinophilia"),
    "basophil": (None, "basophilia"),
    "lymphocyte": ("lymphopenia", "lymphocytosis"),
    "monocyte": ("monocytopenia", "monocytosis"),
}


def absolute(percent: Mapping[str, float] | None, wbc_10e9_L: float | None) -> dict[str, float] | None:  # noqa: N803 - the unit's own spelling
    """10^9 cells a litre by type, two decimals; None without percentages or without a WBC count."""
    if percent is None or wbc_10e9_L is None:
        return None
    return {t: round(percent[t] * wbc_10e9_L / 100, 2) for t in CELL_TYPES}


def flags(
    percent: Mapping[str, float] | None,
    ci95: Mapping[str, Sequence[float]] | None,
    intervals: Intervals,
    wbc_10e9_L: float | None = None,  # noqa: N803 - the unit's own spelling
) -> list[dict[str, Any]]:
    """One object a finding: {"type", "flag", "basis": "absolute" | "relative", "certain"}; none where withheld.

    `percent` and `ci95` in per cent. On per cent alone the flag's name begins with "relative".
    """
    if percent is None or ci95 is None:
        return []
    scale = 1.0 if wbc_10e9_L is None else wbc_10e9_L / 100
    limits = intervals.percent if wbc_10e9_L is None else intervals.absolute
    found: list[dict[str, Any]] = []
    for cell_type in CELL_TYPES:
        value, (ci_low, ci_high) = percent[cell_type] * scale, (end * scale for end in ci95[cell_type])
        (low, high), (below, above) = limits[cell_type], _NAMES[cell_type]
        if value > high:
            found.append(_flag(cell_type, above, wbc_10e9_L is not None, certain=ci_low > high))
        elif value < low and below is not None:
            found.append(_flag(cell_type, below, wbc_10e9_L is not None, certain=ci_high < low))
    return found


def _flag(cell_type: str, name: str, known_wbc: bool, *, certain: bool) -> dict[str, Any]:
    return {
        "type": cell_type,
        "flag": name if known_wbc else f"relative {name}",
        "basis": "absolute" if known_wbc else "relative",
        "certain": certain,
    }
