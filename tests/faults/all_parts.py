"""Every part of the campaign, in the order in which they play."""

from typing import Final

from faults.part import Part
from faults.parts import (
    deliveries,
    events,
    killers,
    kills,
    load,
    outages,
    pictures,
    recovery,
    security,
    states,
    writers,
)


_EVERY: Final[tuple[Part, ...]] = (
    *security.PARTS,
    *pictures.PARTS,
    *writers.PARTS,
    *deliveries.PARTS,
    *events.PARTS,
    *killers.PARTS,
    *kills.PARTS,
    *outages.PARTS,
    *recovery.PARTS,
    *load.PARTS,
)
#: Parts that need settings, a database or a disk of their own, and so a service of their own.
_ALONE: Final = frozenset({"no-events", "postgres-restarts", "disk-full", "archive"})

#: One after the other on one service, as long as all goes well.
TOGETHER: Final = tuple(part for part in _EVERY if part.name not in _ALONE)
ALONE: Final = tuple(part for part in _EVERY if part.name in _ALONE)
ALL: Final = (*TOGETHER, *ALONE, *states.PARTS)


def part(name: str) -> Part:
    """The part of that name."""
    return next(one for one in ALL if one.name == name)
