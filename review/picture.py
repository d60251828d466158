"""A scorecard's picture, drawn where it is shown: recall by type of champion and challenger, with 95 % limits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from smear.cells import CELL_TYPES
from smear.differential import exact_limits


#: In the picture's own units, which the page stretches as it likes.
WIDTH: Final = 320.0
HEIGHT: Final = 150.0
TOP: Final = 8.0
FOOT: Final = 128.0
_LEFT: Final = 30.0
_BAR: Final = 20.0


@dataclass(frozen=True)
class Column:
    """One recall: where its bar stands, how high, and its limits; `share` and `limits` are of 1."""

    who: str
    cell_type: str
    x: float
    y: float
    share: float
    low_y: float
    high_y: float
    limits: tuple[float, float]


@dataclass(frozen=True)
class Panel:
    """One hold-out: its columns, two a type, and the same in words for those who do not see it."""

    name: str
    cells: int
    columns: list[Column]
    words: str


def panels(card: Mapping[str, Any]) -> list[Panel]:
    """A panel a hold-out, in the scorecard's order; a type that a hold-out lacks has no columns there."""
    return [_panel(str(name), part) for name, part in (card.get("parts") or {}).items()]


def height(share: float) -> float:
    """Where a share of 1 lies."""
    return round(FOOT - share * (FOOT - TOP), 2)


def _panel(name: str, part: Mapping[str, Any]) -> Panel:
    columns = []
    slot = (WIDTH - _LEFT) / len(CELL_TYPES)
    for place, cell_type in enumerate(CELL_TYPES):
        for side, who in enumerate(("champion", "challenger")):
            share = part[who]["recall"].get(cell_type)
            n = sum(part[who]["confusion"][place])
            if share is None or not n:
                continue
            low, high = (limit / 100 for limit in exact_limits(round(share * n), n))
            x = round(_LEFT + place * slot + (slot - 2 * _BAR) / 2 + side * _BAR, 2)
            columns.append(Column(who, cell_type, x, height(share), share, height(low), height(high), (low, high)))
    words = "; ".join(
        f"{c.cell_type}s {c.who} {100 * c.share:.1f} % ({100 * c.limits[0]:.1f} to {100 * c.limits[1]:.1f})"
        for c in columns
    )
    return Panel(name, int(part["challenger"]["images"]), columns, f"Recall on the {name}: {words}")
