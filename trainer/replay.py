"""Replay: cells of the base set beside the new ones, so that what was learnt before is not forgotten."""

from typing import Final

from smear.cells import CELL_TYPES
from smear.labelled import LabelledCell
from trainer.draw import by_content


#: At least so many replayed cells for every new one of the commonest type.
_REPLAYED_PER_NEW: Final = 1.0


def replayed(new: list[LabelledCell], base: list[LabelledCell]) -> list[LabelledCell]:
    """Cells of `base`, none of which is in `new`, that make the mix even.

    Each type comes to twice the count of the commonest new type, as far as the base set reaches: so a batch of new
    cells of which nine in ten are neutrophils does not move the network towards neutrophils.
    """
    known = {cell.sha256 for cell in new}
    counts = {t: sum(cell.cell_type == t for cell in new) for t in CELL_TYPES}
    wanted = round((1 + _REPLAYED_PER_NEW) * max(counts.values()))
    chosen: list[LabelledCell] = []
    for cell_type in CELL_TYPES:
        of_type = by_content(cell for cell in base if cell.cell_type == cell_type and cell.sha256 not in known)
        chosen += of_type[: wanted - counts[cell_type]]
    return chosen
