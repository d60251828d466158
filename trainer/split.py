"""The hold-out and the sample slides, drawn once by content hash; no shipped model trains on either."""

import filecmp
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import simplejpeg

from smear.cells import CELL_TYPES, CellType
from smear.geometry import prepare, profile
from smear.labelled import BadDataFolder, LabelledCell, read_folder, read_metadata
from smear.pictures import MisfitPicture, UnreadablePicture
from trainer.draw import by_content, put_aside


HOLDOUT_SHARE: Final = 0.1
#: Blood's usual mix, in the order of CELL_TYPES.
IN_VIVO: Final = (0.62, 0.023, 0.004, 0.30, 0.053)
SLIDES: Final = ("S-0001", "S-0002", "S-0003")
_ABOUT_CELLS: Final = 100
#: Dirichlet concentration: a neutrophil share of 62 % varies from slide to slide with a deviation of 6 points.
_CONCENTRATION: Final = 60.0
_SEED: Final = 360_361
JPEG_QUALITY: Final = 88

PBC_SOURCE: Final = """# Where these pictures come from

Acevedo A, Merino A, Alférez S, Molina Á, Boldú L, Rodellar J. "A dataset of microscopic peripheral blood cell images
for development of automatic recognition systems." Data in Brief 30 (2020) 105474.
Article: https://doi.org/10.1016/j.dib.2020.105474. Data: https://doi.org/10.17632/snkd93bnjr.1

Licence of the pictures: Creative Commons Attribution 4.0 International, CC BY 4.0
(https://creativecommons.org/licenses/by/4.0/). They are not under the licence of the rest of this project.

"""
_HOLDOUT_CHANGES: Final = """What was changed: one tenth of each cell type of a selection was taken, drawn by content
hash. Of each picture the centred window of 200 x 200 pixels was cut out and resized to 128 x 128 (geometry profile
`di60`), then saved as JPEG again. `metadata.csv` keeps the type and the SHA-256 of the original file. File names are
the original ones.
"""
_SAMPLES_CHANGES: Final = """What was changed: about 300 pictures were chosen and laid out as three slides at the usual
mix of blood; the files were renamed, their contents are the original bytes. `truth.json` keeps each picture's type and
original name. The slides are no real ones: their cells come from many persons, and no person is known.
"""


@dataclass(frozen=True)
class Split:
    """What was drawn: the hold-out's cells, and the cells of each sample slide in the order of their new names."""

    holdout: list[LabelledCell]
    slides: dict[str, list[LabelledCell]]


class AlreadyDrawn(Exception):
    """Another hold-out or other samples are there already; a split is drawn once."""


def draw(folder: Path) -> Split:
    """Draw hold-out and sample slides from a data folder; raises BadDataFolder."""
    cells = read_folder(folder)
    rest, holdout = put_aside(cells, HOLDOUT_SHARE)
    marked = _marked_as_samples(folder / "metadata.csv")
    queues = {t: by_content(c for c in rest if c.cell_type == t) for t in CELL_TYPES}
    for cell_type, queue in queues.items():
        if not queue:
            raise BadDataFolder(f"{folder}: the hold-out leaves no picture of type {cell_type} for the samples")
        queue.sort(key=lambda cell: f"{cell.path.parent.name}/{cell.path.name}" not in marked)
    rng = np.random.default_rng(_SEED)
    slides: dict[str, list[LabelledCell]] = {}
    for slide, counts in zip(SLIDES, _counts(rng), strict=True):
        chosen = [queues[t].pop(0) for t, n in zip(CELL_TYPES, counts, strict=True) for _ in range(n) if queues[t]]
        slides[slide] = [chosen[i] for i in rng.permutation(len(chosen))]
    return Split(holdout, slides)


def write(split: Split, root: Path) -> None:
    """Write `root/holdout` and `root/samples`; the same split gives the same bytes.

    Raises AlreadyDrawn where either is there with another content, BadDataFolder for a picture that cannot be used.
    """
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".split.", dir=root) as name:
        temporary = Path(name)
        _write_holdout(split.holdout, temporary / "holdout")
        _write_samples(split.slides, temporary / "samples")
        parts = ("holdout", "samples")
        for part in parts:
            if _holds_anything(root / part) and not same_tree(temporary / part, root / part):
                raise AlreadyDrawn(f"{root / part} holds another split; a split is drawn once, so move that away first")
        for part in parts:
            if not _holds_anything(root / part):
                shutil.rmtree(root / part, ignore_errors=True)
                (temporary / part).rename(root / part)


def _counts(rng: np.random.Generator) -> list[list[int]]:
    """Cells by type for each slide, every type at least once over all of them."""
    drawn = [
        rng.multinomial(_ABOUT_CELLS + rng.integers(-5, 6), rng.dirichlet(np.array(IN_VIVO) * _CONCENTRATION)).tolist()
        for _ in SLIDES
    ]
    for index in range(len(CELL_TYPES)):
        if not any(counts[index] for counts in drawn):
            drawn[index % len(drawn)][index] = 1
    return drawn


def _marked_as_samples(metadata: Path) -> set[str]:
    return {row["file"] for row in read_metadata(metadata) if row.get("sample") == "1" and row.get("file")}


def _write_holdout(cells: list[LabelledCell], folder: Path) -> None:
    geometry = profile("di60")
    lines = ["file,label,source_sha256"]
    for cell in cells:
        try:
            image = prepare(cell.path.read_bytes(), geometry)
        except (UnreadablePicture, MisfitPicture) as error:
            raise BadDataFolder(f"{cell.path} cannot be part of a hold-out: {error}") from None
        path = folder / cell.cell_type / f"{cell.path.stem}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(simplejpeg.encode_jpeg(image, JPEG_QUALITY, "RGB", "444", fastdct=False))
        lines.append(f"{cell.cell_type}/{path.name},{cell.cell_type},{cell.sha256}")
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "ATTRIBUTION.md").write_text(PBC_SOURCE + _HOLDOUT_CHANGES, encoding="utf-8")


def _write_samples(slides: dict[str, list[LabelledCell]], folder: Path) -> None:
    truth = {}
    for slide, cells in slides.items():
        (folder / slide).mkdir(parents=True)
        counts: dict[CellType, int] = dict.fromkeys(CELL_TYPES, 0)
        files, sources = {}, {}
        for number, cell in enumerate(cells, start=1):
            name = f"cell_{number:03d}{cell.path.suffix.lower()}"
            (folder / slide / name).write_bytes(cell.path.read_bytes())
            counts[cell.cell_type] += 1
            files[name], sources[name] = cell.cell_type, cell.path.name
        truth[slide] = {"counts": counts, "files": files, "sources": sources}
    (folder / "truth.json").write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
    (folder / "ATTRIBUTION.md").write_text(PBC_SOURCE + _SAMPLES_CHANGES, encoding="utf-8")


def _holds_anything(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def same_tree(one: Path, other: Path) -> bool:
    """Whether two folders hold the same files with the same bytes."""
    names = [sorted(p.relative_to(root) for root in (tree,) for p in tree.rglob("*") if p.is_file())
             for tree in (one, other)]  # fmt: skip
    return names[0] == names[1] and all(filecmp.cmp(one / n, other / n, shallow=False) for n in names[0])
