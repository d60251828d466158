"""Labelled data folders: `DIR/<cell type>/<picture>`, with an optional `metadata.csv` (file, label, group)."""

import csv
import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from smear.cells import CELL_TYPES, CellType, cell_type_of
from smear.files import shown
from smear.geometry import SIDE_PX, Profile, prepare
from smear.pictures import MisfitPicture, UnreadablePicture


PICTURE_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"})


class BadDataFolder(Exception):
    """A data folder that cannot be used; its text says what is wrong with it."""


@dataclass(frozen=True, order=True)
class LabelledCell:
    """One expert-labelled picture. `group` is its slide or patient, None where nobody knows."""

    path: Path
    cell_type: CellType
    sha256: str
    group: str | None = None

    @property
    def shown(self) -> str:
        """`<cell type's folder>/<picture>`, as it can be stored and shown."""
        return shown(f"{self.path.parent.name}/{self.path.name}")


def read_folder(folder: Path, min_per_type: int = 1) -> list[LabelledCell]:
    """Every labelled picture of a data folder, ordered by type and name.

    Raises BadDataFolder: no such folder, an unknown type, fewer than `min_per_type` pictures of a type, one picture
    under two labels, a picture's name on what is no file, or a `metadata.csv` that cannot be read.
    """
    if not folder.is_dir():
        raise BadDataFolder(f"no data folder at {folder}")
    groups = _groups(folder / "metadata.csv")
    cells: list[LabelledCell] = []
    for sub in sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")):
        cell_type = cell_type_of(sub.name)
        if cell_type is None:
            raise BadDataFolder(f"{sub.name!r} in {folder} is none of: {', '.join(CELL_TYPES)}")
        files = sorted(p for p in sub.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES)
        if odd := next((p for p in files if not p.is_file()), None):
            raise BadDataFolder(f"{odd} is called as a picture, but it is no file")
        with ThreadPoolExecutor() as pool:
            hashes = pool.map(lambda p: hashlib.sha256(p.read_bytes()).hexdigest(), files)
            cells += [
                LabelledCell(p, cell_type, h, groups.get(f"{sub.name}/{p.name}"))
                for p, h in zip(files, hashes, strict=True)
            ]
    for cell_type in CELL_TYPES:
        n = sum(c.cell_type == cell_type for c in cells)
        if n < min_per_type:
            raise BadDataFolder(f"{folder} holds {n} pictures of type {cell_type}, at least {min_per_type} are needed")
    _refuse_two_labels(cells)
    return sorted(cells, key=lambda c: (CELL_TYPES.index(c.cell_type), c.path.name))


def data_sha256(cells: Iterable[LabelledCell]) -> str:
    """Identity of a data set: SHA-256 over the sorted (content hash, type) pairs, whatever the files are called."""
    lines = sorted(f"{c.sha256} {c.cell_type}\n" for c in cells)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@dataclass(frozen=True)
class Pixels:
    """A data set in memory: images (N, 128, 128, 3) uint8 RGB (or of another side, where a network wants that), labels
    (N,) int64 into CELL_TYPES, the cells, and what could not be used with its reason.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    cells: list[LabelledCell]
    refused: list[tuple[LabelledCell, str]]


def load_pixels(
    cells: list[LabelledCell],
    geometry: Profile,
    progress: Callable[[Iterator[object]], Iterator[object]] = iter,
    side_px: int = SIDE_PX,
) -> Pixels:
    """Decode, crop and resize every cell; unreadable and misfit pictures are set aside with their reason.

    `side_px` is what the network takes; `progress` wraps the iterator over pictures, to show how far it is.
    """

    def one(cell: LabelledCell) -> npt.NDArray[np.uint8] | str:
        try:
            return prepare(cell.path.read_bytes(), geometry, side_px)
        except (UnreadablePicture, MisfitPicture, OSError) as error:
            return str(error)

    with ThreadPoolExecutor() as pool:
        outcomes = list(progress(pool.map(one, cells)))
    kept = [(c, o) for c, o in zip(cells, outcomes, strict=True) if isinstance(o, np.ndarray)]
    refused = [(c, o) for c, o in zip(cells, outcomes, strict=True) if isinstance(o, str)]
    images = np.stack([o for _, o in kept]) if kept else np.empty((0, side_px, side_px, 3), np.uint8)
    labels = np.array([CELL_TYPES.index(c.cell_type) for c, _ in kept], np.int64)
    return Pixels(images, labels, [c for c, _ in kept], refused)


def read_metadata(metadata: Path) -> list[dict[str, str]]:
    """The rows of a data folder's `metadata.csv`, none where there is no such file.

    Raises BadDataFolder for one that cannot be read, or names no pictures: groups that were lost without a word would
    stand on both sides of a split.
    """
    if not metadata.is_file():
        return []
    try:
        with metadata.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets put a mark before the first name
            reader = csv.DictReader(file)
            columns, rows = reader.fieldnames or (), list(reader)
    except (UnicodeError, csv.Error) as error:
        raise BadDataFolder(f"{metadata} cannot be read as comma-separated UTF-8: {error}") from None
    if "file" not in columns:
        raise BadDataFolder(f"{metadata} has no column 'file': file,label,group, with commas, is expected")
    return rows


def _groups(metadata: Path) -> dict[str, str]:
    return {row["file"]: row["group"] for row in read_metadata(metadata) if row.get("group") and row.get("file")}


def _refuse_two_labels(cells: list[LabelledCell]) -> None:
    seen: dict[str, LabelledCell] = {}
    for cell in cells:
        other = seen.setdefault(cell.sha256, cell)
        if other.cell_type != cell.cell_type:
            raise BadDataFolder(f"the same picture has two labels: {other.path} and {cell.path}")
