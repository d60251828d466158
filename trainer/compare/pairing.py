"""Which cells two runs have in common, by content, and which of them each run got right."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from smear.plain import PlainError
from trainer.run_folder import Cells, Run
from trainer.scores import Labels


class NothingInCommon(PlainError):
    """Runs that were not made on the same cells; its text says so in plain words."""


@dataclass(frozen=True)
class Paired:
    """N cells that both runs judged, each content once.

    `labels` (N,) into CELL_TYPES; `right` (N, 2), the first and the second run's right answers; `groups` as known to
    either run. `only_first` and `only_second` count contents that one run alone has, `relabelled` those that the two
    know under different types: none of these is compared.
    """

    labels: Labels
    right: npt.NDArray[np.bool_]
    groups: list[str | None]
    only_first: int
    only_second: int
    relabelled: int


def pair(first: Run, second: Run) -> Paired:
    """The cells of both; raises NothingInCommon."""
    ours, theirs = _places(first.cells), _places(second.cells)
    shared = [(ours[content], theirs[content]) for content in ours if content in theirs]
    if not shared:
        raise NothingInCommon(
            f"{first.folder} and {second.folder} share no cells: they are of other data"
            f" ({first.info.data} and {second.info.data}), and nothing can be paired"
        )
    a, b = np.array(shared, np.int64).T
    same = first.cells.labels[a] == second.cells.labels[b]
    if not same.any():
        raise NothingInCommon(f"{first.folder} and {second.folder} label every cell they share differently")
    a, b = a[same], b[same]
    return Paired(
        labels=first.cells.labels[a],
        right=np.stack([first.cells.right[a], second.cells.right[b]], axis=1),
        groups=_groups([first.cells.groups[i] for i in a], [second.cells.groups[i] for i in b]),
        only_first=len(ours) - len(shared),
        only_second=len(theirs) - len(shared),
        relabelled=int((~same).sum()),
    )


def _places(cells: Cells) -> dict[str, int]:
    """Content hash -> its first row: copies of a picture say nothing new."""
    places: dict[str, int] = {}
    for row, content in enumerate(cells.sha256):
        places.setdefault(content, row)
    return places


def _groups(first: list[str | None], second: list[str | None]) -> list[str | None]:
    """The first run's groups; the second's where the first knew of none at all."""
    return first if any(group is not None for group in first) else second
