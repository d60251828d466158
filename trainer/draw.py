"""Putting a share of the labelled cells aside by content alone, so that every host puts aside the same ones."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from smear.cells import CELL_TYPES
from smear.labelled import LabelledCell


def content_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def by_content(cells: Iterable[LabelledCell]) -> list[LabelledCell]:
    """In the order of their SHA-256: as good as random, and the same for ever."""
    return sorted(cells, key=lambda cell: cell.sha256)


def put_aside(cells: Sequence[LabelledCell], share: float) -> tuple[list[LabelledCell], list[LabelledCell]]:
    """(kept, aside): of each type the first `share` (rounded, at least one) in the order of their hashes.

    Cells of one group (slide, patient) stay together, so where groups are known a type may give a few more.
    Both lists come in the order of `cells`.
    """
    units: dict[str, list[LabelledCell]] = defaultdict(list)
    for cell in cells:
        units[_unit(cell)].append(cell)
    aside: set[str] = set()
    for cell_type in CELL_TYPES:
        of_type = [cell for cell in cells if cell.cell_type == cell_type]
        wanted = max(1, round(share * len(of_type))) if of_type else 0
        taken = sum(_unit(cell) in aside for cell in of_type)
        for unit in sorted({_unit(cell) for cell in of_type} - aside):
            if taken >= wanted:
                break
            aside.add(unit)
            taken += sum(cell.cell_type == cell_type for cell in units[unit])
    return [c for c in cells if _unit(c) not in aside], [c for c in cells if _unit(c) in aside]


def _unit(cell: LabelledCell) -> str:
    # Equal contents are one unit even where their files differ in name.
    return cell.sha256 if cell.group is None else hashlib.sha256(cell.group.encode()).hexdigest()
