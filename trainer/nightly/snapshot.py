"""What a night works on, as it stood when the night began, and what was learned says of it: arrays in files."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from smear.plain import PlainError


CELLS: Final = "cells.npz"
FACTS: Final = "cells.json"
OPINIONS: Final = "opinions.npz"
#: All that a night needs no longer once it is over, but for its scorecard.
LEFT_BEHIND: Final = (CELLS, FACTS, OPINIONS, f".{CELLS}", f".{OPINIONS}")

Logits = npt.NDArray[np.float32]

_UNREADABLE: Final = (OSError, KeyError, ValueError, EOFError, BadZipFile)


class NoSnapshot(PlainError):
    """The night's snapshot is gone or damaged."""


@dataclass(frozen=True)
class LabCells:
    """N labelled cells: images (N, 128, 128, 3) uint8, labels (N,) into CELL_TYPES, slides (N,) row numbers.

    `new` (N,) says which have come since the last night that was judged; `sha256` (N,) their contents.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    slides: npt.NDArray[np.int64]
    new: npt.NDArray[np.bool_]
    sha256: tuple[str, ...]

    def __len__(self) -> int:
        """How many cells."""
        return len(self.labels)

    def take(self, rows: npt.NDArray[Any]) -> "LabCells":
        """Some of them, by index or mask."""
        wanted = np.arange(len(self))[rows]
        chosen = tuple(self.sha256[i] for i in wanted)
        return LabCells(self.images[wanted], self.labels[wanted], self.slides[wanted], self.new[wanted], chosen)


@dataclass(frozen=True)
class Snapshot:
    """`learn` is trained on, `judge` is the laboratory's hold-out, `facts` are plain words and counts."""

    learn: LabCells
    judge: LabCells
    facts: dict[str, Any]


def save(folder: Path, snapshot: Snapshot) -> None:
    """Write it whole or not at all; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, cells in (("learn", snapshot.learn), ("judge", snapshot.judge)):
        arrays |= {
            f"{name}_images": cells.images, f"{name}_labels": cells.labels, f"{name}_slides": cells.slides,
            f"{name}_new": cells.new, f"{name}_sha256": np.array(cells.sha256, "U64"),
        }  # fmt: skip
    (folder / FACTS).write_text(json.dumps(snapshot.facts, indent=1) + "\n", encoding="utf-8")
    _write(folder / CELLS, arrays)


def load(folder: Path) -> Snapshot:
    """Read it back; raises NoSnapshot."""
    try:
        with (folder / CELLS).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            learn, judge = (
                LabCells(
                    arrays[f"{name}_images"], arrays[f"{name}_labels"], arrays[f"{name}_slides"], arrays[f"{name}_new"],
                    tuple(str(digest) for digest in arrays[f"{name}_sha256"]),
                )
                for name in ("learn", "judge")
            )  # fmt: skip
        return Snapshot(learn, judge, json.loads((folder / FACTS).read_text(encoding="utf-8")))
    except _UNREADABLE as error:
        raise NoSnapshot(f"what this night collected cannot be read again ({CELLS}: {_why(error)})") from None


def save_opinions(folder: Path, learn: Logits, judge: Logits) -> None:
    """What the network that learned the night's labels whole says of either part: calibrated logits, (N, 5) each.

    Raises OSError.
    """
    _write(folder / OPINIONS, {"learn": learn, "judge": judge})


def load_opinions(folder: Path) -> tuple[Logits, Logits]:
    """Read them back; raises NoSnapshot."""
    try:
        with (folder / OPINIONS).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return arrays["learn"], arrays["judge"]
    except _UNREADABLE as error:
        raise NoSnapshot(f"what was learned this night cannot be read again ({OPINIONS}: {_why(error)})") from None


def _why(error: Exception) -> str:
    return "missing" if isinstance(error, FileNotFoundError) else "damaged, or not to be read"


def _write(path: Path, arrays: dict[str, npt.NDArray[Any]]) -> None:
    temporary = path.with_name(f".{path.name}")
    with temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def empty() -> LabCells:
    """No cell at all."""
    nothing = np.empty(0, np.int64)
    return LabCells(np.empty((0, 128, 128, 3), np.uint8), nothing, nothing, np.empty(0, np.bool_), ())
