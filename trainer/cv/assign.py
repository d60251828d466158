"""Which fold tests which cell: stratified by type, no group and no duplicate ever on both sides."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from smear.cells import CELL_TYPES
from smear.labelled import BadDataFolder, LabelledCell, Pixels
from trainer.cv import alike


Folds = npt.NDArray[np.int64]

#: So many groups of near duplicates are named in the report.
_NAMED: Final = 10


@dataclass(frozen=True)
class Assignment:
    """`fold` (N,): the fold that tests each cell; `group` (N,): cells of one number stay together."""

    fold: Folds
    group: Folds
    metadata_groups: int
    exact_duplicates: int
    near: list[list[str]]

    def key(self, cell: LabelledCell, row: int) -> str | None:
        """Name of what the cell is not independent of: its slide or patient, or its near duplicates; None alone."""
        if cell.group is not None:
            return cell.group
        number = int(self.group[row])
        return f"copies {number}" if (self.group == number).sum() > 1 else None

    def as_json(self) -> dict[str, Any]:
        """What was kept together, for the report."""
        return {
            "metadata_groups": self.metadata_groups,
            "exact_duplicates": self.exact_duplicates,
            "near_duplicate_groups": len(self.near),
            "near_duplicate_pictures": sum(map(len, self.near)),
            "largest": max(map(len, self.near), default=0),
            "examples": self.near[:_NAMED],
        }


def assign(pixels: Pixels, folds: int, seed: int) -> Assignment:
    """Divide the cells; raises BadDataFolder where a type has fewer groups (pictures, if none are known) than folds."""
    keys = [cell.group for cell in pixels.cells]
    hashes = [cell.sha256 for cell in pixels.cells]
    same = alike.same_key(keys) + alike.same_key(list(hashes))
    near_pairs = [(i, j) for i, j in alike.near_pairs(pixels.images) if hashes[i] != hashes[j]]
    group = alike.groups(len(keys), same + near_pairs)
    for index, cell_type in enumerate(CELL_TYPES):
        n = len(np.unique(group[pixels.labels == index]))
        if n < folds:
            raise BadDataFolder(
                f"{n} pictures (or groups of pictures) of type {cell_type} cannot be divided into {folds} folds"
            )
    return Assignment(
        _divide(pixels.labels, group, folds, seed),
        group,
        metadata_groups=len({key for key in keys if key is not None}),
        exact_duplicates=len(hashes) - len(set(hashes)),
        near=_named(pixels, near_pairs),
    )


def _divide(labels: npt.NDArray[np.int64], group: Folds, folds: int, seed: int) -> Folds:
    settings = {"n_splits": folds, "shuffle": True, "random_state": seed}
    if len(np.unique(group)) == len(group):
        parts = StratifiedKFold(**settings).split(labels, labels)
    else:
        parts = StratifiedGroupKFold(**settings).split(labels, labels, group)
    fold = np.empty(len(labels), np.int64)
    for number, (_, test) in enumerate(parts):
        fold[test] = number
    return fold


def _named(pixels: Pixels, pairs: list[tuple[int, int]]) -> list[list[str]]:
    """Files of each group of near duplicates, those of one slide or patient aside: they are together anyway."""
    cells = pixels.cells
    found = [(i, j) for i, j in pairs if cells[i].group is None or cells[i].group != cells[j].group]
    group = alike.groups(len(cells), found)
    members: dict[int, list[str]] = {}
    for i in sorted({place for pair in found for place in pair}):
        members.setdefault(int(group[i]), []).append(cells[i].shown)
    return list(members.values())
