"""The five cell types, their order, and the class names that analysers and data sets use for them."""

from typing import Final, Literal


CellType = Literal["neutrophil", "eosinophil", "basophil", "lymphocyte", "monocyte"]

#: The order of every vector of five in this project: logits, probabilities, counts, confusion matrices.
CELL_TYPES: Final[tuple[CellType, ...]] = ("neutrophil", "eosinophil", "basophil", "lymphocyte", "monocyte")

#: What became of a cell: one of the five, unlike any of them, of a size its profile does not know, or not readable.
CellState = Literal["classified", "outside", "misfit", "unreadable"]

#: Class codes of analysers and of public data sets, upper case, for one of the five.
_CODES: Final[dict[str, CellType]] = {
    "NGS": "neutrophil", "SNE": "neutrophil", "NGB": "neutrophil", "BNE": "neutrophil", "NEU": "neutrophil",
    "EOS": "eosinophil", "EO": "eosinophil",
    "BAS": "basophil", "BA": "basophil",
    "LYT": "lymphocyte", "LY": "lymphocyte", "LYM": "lymphocyte",
    "MON": "monocyte", "MO": "monocyte",
}  # fmt: skip


def cell_type_of(class_name: str) -> CellType | None:
    """The cell type that a class name or code stands for; None for whatever lies outside the five."""
    name = class_name.strip()
    if name.lower() in CELL_TYPES:
        return name.lower()  # type: ignore[return-value]
    return _CODES.get(name.upper())
