"""A laboratory that does not exist: `pbc` cells under a strong fixed stain and exposure, or `chula`, on slides."""

import csv
import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import simplejpeg

from smear import shipped
from smear.cells import CELL_TYPES
from smear.geometry import prepare, profile
from smear.labelled import LabelledCell, read_folder
from trainer.draw import by_content
from trainer.training_set import withheld


#: Exponents a channel (stain density), black level and gain: the n-th is stronger than the one before.
STRENGTHS = tuple(((1 + 0.35 * n, 1 + 0.9 * n, 1 - 0.12 * n), 0.04 * n, 1 - 0.09 * n) for n in np.arange(0.5, 4.5, 0.5))


#: Changes whenever the simulated laboratory does: figures of two are never counted together.
LABORATORY = "2: none of the shipped core"


@dataclass(frozen=True)
class Cell:
    """A cell of the laboratory: where its picture lies, its true type, the slide it came on where that is known."""

    path: Path
    cell_type: str
    group: str | None


def halves(data: Path) -> tuple[list[LabelledCell], list[LabelledCell]]:
    """The base's cells and the laboratory's: `pbc` without hold-out and samples, in two by content.

    The laboratory has none of the shipped core: nights replay that, and it must not have seen what it is judged on.
    """
    apart = withheld()
    with (shipped.folder("core") / "metadata.csv").open(newline="", encoding="utf-8") as file:
        core = {row["source_sha256"] for row in csv.DictReader(file)}
    allowed = [c for c in read_folder(data / "pbc") if c.sha256 not in apart.holdout | apart.samples]
    base, lab = [], []
    for cell_type in CELL_TYPES:
        of_type = by_content(c for c in allowed if c.cell_type == cell_type)
        base += of_type[::2]
        lab += [cell for cell in of_type[1::2] if cell.sha256 not in core]
    return base, lab


def base_folder(base: Sequence[LabelledCell], folder: Path) -> Path:
    """The base's cells as a data folder of links."""
    if not folder.exists():
        making = folder.with_name(f".{folder.name}")
        shutil.rmtree(making, ignore_errors=True)
        for cell in base:
            (making / cell.cell_type).mkdir(parents=True, exist_ok=True)
            (making / cell.cell_type / cell.path.name).symlink_to(cell.path.resolve())
        making.rename(folder)
    return folder


def shifted(image: np.ndarray, strength: int) -> np.ndarray:
    """(H, W, 3) uint8 as that laboratory's stain and camera would give it."""
    exponents, black, gain = STRENGTHS[strength]
    seen = black + gain * (image.astype(np.float32) / 255) ** np.array(exponents, np.float32)
    return np.clip(255 * seen, 0, 255).astype(np.uint8)


def picture(cell: Cell, strength: int | None) -> bytes:
    """The file that the analyser would have written. `chula`'s crops are set into a picture of a DI-60's size."""
    data = cell.path.read_bytes()
    if strength is None:
        crop = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        image = cv2.copyMakeBorder(crop, 80, 81, 80, 80, cv2.BORDER_REFLECT_101)
    else:
        image = shifted(simplejpeg.decode_jpeg(data, "RGB"), strength)
    return simplejpeg.encode_jpeg(np.ascontiguousarray(image), 95, "RGB", "444", fastdct=False)


def pixels(cells: Sequence[Cell], strength: int | None) -> tuple[np.ndarray, np.ndarray]:
    """(N, 128, 128, 3) uint8 and (N,) labels, by the very pre-processing of a worker."""
    how = profile("di60")
    images = np.stack([prepare(picture(cell, strength), how) for cell in cells])
    return images, np.array([CELL_TYPES.index(cell.cell_type) for cell in cells], np.int64)


def slides(cells: Sequence[Cell], per_slide: int, seed: int) -> dict[str, list[Cell]]:
    """Slide name -> cells: by group where groups are known, else drawn."""
    if any(cell.group for cell in cells):
        found: dict[str, list[Cell]] = {}
        for cell in cells:
            found.setdefault(str(cell.group), []).append(cell)
        order = sorted(found, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
        return {name: found[name] for name in order}
    order = np.random.default_rng(seed).permutation(len(cells))
    parts = [order[at : at + per_slide] for at in range(0, len(order), per_slide)]
    return {f"L-{number:04}": [cells[i] for i in part] for number, part in enumerate(parts)}
