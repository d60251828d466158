"""LISC as its owner gives it, scenes of 720x576 pixels with masks, to a data folder of cut cells, as the paper used it.

LISC (Rezatofighi and Soltanian-Zadeh, 2011) may not be redistributed: nothing of it is in this project.
`SRC/Main Dataset/<class>/<number>.bmp` are the scenes, `SRC/Ground Truth Segmentation/<class>/areaforexpert1/
<number>_expert.bmp` the masks that an expert drew of nucleus and cytoplasm. Scenes of mixed classes are left out, since
nothing says which of their cells is which.
"""

import csv
import glob
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from smear.cells import CELL_TYPES, CellType
from smear.files import real
from smear.labelled import PICTURE_SUFFIXES
from smear.pictures import RGB, UnreadablePicture, decode
from smear.plain import PlainError


#: LISC's names of the five; `mixt` are scenes of several.
_CLASSES: Final[dict[str, CellType]] = {
    "neut": "neutrophil", "eosi": "eosinophil", "baso": "basophil", "lymp": "lymphocyte", "mono": "monocyte",
}  # fmt: skip
_SCENES: Final = "main dataset"
_MASKS: Final = "ground truth segmentation"
_EXPERT: Final = "areaforexpert1"
#: Room about a cell, as a share of its longer side. The paper does not say how much it left.
_MARGIN: Final = 0.1
#: Parts of a mask smaller than this share of its largest are specks of the pen.
_SPECK: Final = 0.1
#: What is darker in a mask is background.
_DRAWN: Final = 10

Mask = npt.NDArray[np.bool_]


class BadLisc(PlainError):
    """What lies there is not LISC as its owner gives it, or part of it cannot be used; the text says what."""


@dataclass(frozen=True)
class Imported:
    """Cells cut by type, from so many scenes; `mixed` scenes were left out."""

    cells: dict[CellType, int]
    scenes: int
    mixed: int


@dataclass(frozen=True)
class _Scene:
    picture: Path
    mask: Path
    cell_type: CellType


def import_lisc(source: Path, out: Path) -> Imported:
    """Cut every cell of `source` into `out`, a new data folder whose groups are the scenes; raises BadLisc, OSError."""
    out = real(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadLisc(f"{out} is there already; choose another folder")
    scenes, mixed = _scenes(source)
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    counts: dict[CellType, int] = dict.fromkeys(CELL_TYPES, 0)
    rows: list[tuple[str, str, str]] = []
    try:
        for scene in scenes:
            (partial / scene.cell_type).mkdir(parents=True, exist_ok=True)
            for number, cell in enumerate(_cells(scene), start=1):
                file = f"{scene.cell_type}/{scene.picture.stem}_{number}.png"
                Image.fromarray(cell).save(partial / file)
                rows.append((file, scene.cell_type, f"scene {scene.cell_type} {scene.picture.stem}"))
                counts[scene.cell_type] += 1
        if missing := [name for name, n in counts.items() if not n]:
            raise BadLisc(f"{source} holds no scene of type {missing[0]}")
        with (partial / "metadata.csv").open("w", newline="", encoding="utf-8") as file_:
            csv.writer(file_).writerows([("file", "label", "group"), *rows])
        if out.is_dir():
            out.rmdir()
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Imported(counts, len(scenes), mixed)


def windows(mask: Mask) -> list[tuple[slice, slice]]:
    """(H, W) what an expert drew -> a square window a cell, from left to right, within the picture."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    parts = stats[1:]
    if not len(parts):
        return []
    parts = parts[parts[:, cv2.CC_STAT_AREA] >= _SPECK * parts[:, cv2.CC_STAT_AREA].max()]
    found = []
    for left, top, wide, high, _ in sorted(parts.tolist()):
        side = round(max(wide, high) * (1 + 2 * _MARGIN))
        rows = _span(top + high / 2, side, mask.shape[0])
        columns = _span(left + wide / 2, side, mask.shape[1])
        found.append((rows, columns))
    return found


def _span(middle: float, side: int, length: int) -> slice:
    """So many pixels about the middle, moved inwards at the picture's edge."""
    side = min(side, length)
    start = min(max(round(middle - side / 2), 0), length - side)
    return slice(start, start + side)


def _cells(scene: _Scene) -> Iterator[RGB]:
    try:
        picture = decode(scene.picture.read_bytes())
        with Image.open(scene.mask) as image:
            mask = np.asarray(image.convert("L")) > _DRAWN
    except UnreadablePicture as reason:
        raise BadLisc(f"{scene.picture}: {reason}") from None
    except UnidentifiedImageError:
        raise BadLisc(f"{scene.mask} is no picture") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as reason:
        # What Pillow raises of a file that is cut short or damaged.
        raise BadLisc(f"{scene.mask} cannot be read: {reason}") from None
    if mask.shape != picture.shape[:2]:
        sizes = f"{mask.shape[1]}x{mask.shape[0]} and {picture.shape[1]}x{picture.shape[0]} pixels"
        raise BadLisc(f"{scene.mask} does not belong to its scene: {sizes}")
    if not (found := windows(mask)):
        raise BadLisc(f"{scene.mask} is empty: nothing was drawn in it")
    for rows, columns in found:
        yield np.ascontiguousarray(picture[rows, columns])


def _scenes(source: Path) -> tuple[list[_Scene], int]:
    """Every scene of one class with its mask, and how many of several classes there are."""
    pictures, masks = _child(source, _SCENES), _child(source, _MASKS)
    found: list[_Scene] = []
    mixed = 0
    for folder in sorted(p for p in pictures.iterdir() if p.is_dir()):
        cell_type = _CLASSES.get(folder.name.lower())
        files = sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES)
        if cell_type is None:
            mixed += len(files)
            continue
        drawn = _child(_child(masks, folder.name.lower()), _EXPERT)
        for picture in files:
            # Of two folders also, where their names differ in capitals alone.
            if any((scene.cell_type, scene.picture.stem) == (cell_type, picture.stem) for scene in found):
                raise BadLisc(f"{folder} holds more than one scene {picture.stem}: nobody could tell their cells apart")
            found.append(_Scene(picture, _mask_of(picture, drawn), cell_type))
    return found, mixed


def _mask_of(picture: Path, drawn: Path) -> Path:
    masks = sorted(
        p for p in drawn.glob(f"{glob.escape(picture.stem)}_expert*") if p.suffix.lower() in PICTURE_SUFFIXES
    )
    if len(masks) != 1:
        raise BadLisc(f"{picture} has {len(masks) or 'no'} masks in {drawn}, one is expected")
    return masks[0]


def _child(folder: Path, name: str) -> Path:
    """The folder of that name, whatever its capitals."""
    for child in folder.iterdir() if folder.is_dir() else ():
        if child.is_dir() and child.name.lower() == name:
            return child
    raise BadLisc(f"{folder} holds no folder {name.title()!r}: LISC has 'Main Dataset' and 'Ground Truth Segmentation'")
