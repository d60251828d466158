"""Finer names that a technologist may give a cell: the two forms of neutrophil, and what lies outside the five."""

from dataclasses import dataclass
from typing import Final, Literal

from smear.cells import CELL_TYPES, CellType


#: What a person may say of a cell.
Label = Literal["neutrophil", "eosinophil", "basophil", "lymphocyte", "monocyte", "outside"]

OUTSIDE: Final = "outside"
LABELS: Final[tuple[str, ...]] = (*CELL_TYPES, OUTSIDE)


@dataclass(frozen=True)
class Kind:
    """A kind of cell: its name in rows, how it is shown, and the key that gives it once its label is chosen."""

    name: str
    shown: str
    key: str


#: Kinds by label. Codes of analysers for those outside the five: shared vocabulary of differential counting.
KINDS: Final[dict[str, tuple[Kind, ...]]] = {
    "neutrophil": (Kind("segmented", "segmented", "s"), Kind("band", "band", "b")),
    OUTSIDE: (
        Kind("blast", "blast", "b"),
        Kind("promyelocyte", "promyelocyte", "p"),
        Kind("myelocyte", "myelocyte", "m"),
        Kind("metamyelocyte", "metamyelocyte", "t"),
        Kind("atypical_lymphocyte", "atypical lymphocyte", "a"),
        Kind("plasma_cell", "plasma cell", "c"),
        Kind("erythroblast", "erythroblast (NRBC)", "e"),
        Kind("smudge", "smudge cell", "s"),
        Kind("platelet", "platelet, giant or clumped", "l"),
        Kind("artefact", "artefact", "x"),
        Kind("other", "other", "o"),
    ),
}


def is_kind(label: str, kind: str | None) -> bool:
    """Whether a label may carry this kind; none at all always fits."""
    return kind is None or any(known.name == kind for known in KINDS.get(label, ()))


def shown(label: str | None, kind: str | None = None) -> str:
    """A label as a sentence names it: `neutrophil, band`, `other cell: blast`."""
    if label is None:
        return "the model's proposal"
    found = next((known.shown for known in KINDS.get(label, ()) if known.name == kind), None)
    if label == OUTSIDE:
        return f"other cell: {found}" if found else "other cell"
    return f"{label}, {found}" if found else label


def cell_type(label: str | None) -> CellType | None:
    """One of the five, or None for whatever lies outside."""
    return label if label in CELL_TYPES else None
