"""Cautions: what a person is warned of before a signature, in the words that then stand under it."""

from dataclasses import dataclass
from typing import Final

from review.slide import Rules, SlideView
from smear.report import engine_and_precision


#: The precision that gives the same answer on every host (WNET_PRECISION).
REFERENCE_PRECISION: Final = "fp32"


@dataclass(frozen=True)
class Caution:
    """One warning; `needs_reason` where a signature needs a typed reason."""

    words: str
    needs_reason: bool = False


def cautions(view: SlideView, rules: Rules) -> list[Caution]:
    """All that speaks against a signature of this slide as it stands, the gravest first."""
    found = []
    if view.completeness.words:
        found.append(Caution(view.completeness.words, needs_reason=True))
    if view.reviewed.withheld:
        found.append(Caution(view.reviewed.withheld, needs_reason=True))
    if view.reviewed.people.result.remark == "low count":
        found.append(Caution(f"low count: {view.reviewed.people.total} cells, fewer than {rules.low_count_cells}"))
    if n := view.reviewed.doubtful:
        found.append(Caution(f"{n} doubtful cell{'s' if n != 1 else ''} not reviewed"))
    if view.stored and (n := len({problem["file"] for problem in view.stored.problems})):
        found.append(Caution(f"{n} file{'s' if n != 1 else ''} with a problem"))
    engine, precision = engine_and_precision(view.backend)
    if precision != REFERENCE_PRECISION:
        computed = f"computed by {engine or 'an unknown engine'} at {precision or 'an unknown precision'}"
        found.append(Caution(f"{computed}, not at the reference {REFERENCE_PRECISION}"))
    return found
