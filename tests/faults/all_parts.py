"""Every part of the campaign, in the order in which they play: those that share a service stand together."""

from typing import Final

from faults.part import Part
from faults.parts import deliveries, events, killers, kills, load, outages, pictures, recovery, security, writers


ALL: Final[tuple[Part, ...]] = (
    # On one service with the quick settings, as long as all goes well.
    *security.PARTS,
    *pictures.PARTS,
    *writers.PARTS,
    *deliveries.PARTS,
    *events.PARTS[:-1],
    *(one for one in kills.PARTS if one.name != "worker-kills"),
    *outages.PARTS[:2],
    # Each on a service of its own.
    *events.PARTS[-1:],
    *(one for one in kills.PARTS if one.name == "worker-kills"),
    *killers.PARTS,
    *outages.PARTS[2:],
    *recovery.PARTS,
    *load.PARTS,
)


def part(name: str) -> Part:
    """The part of that name; KeyError names those there are."""
    for one in ALL:
        if one.name == name:
            return one
    raise KeyError(f"no part {name!r}; there are: {', '.join(one.name for one in ALL)}")
