"""What a nightly fine-tune replays and is judged on beside the hold-out: `core/` and `outside/`, drawn by content."""

import shutil
import tempfile
from pathlib import Path
from typing import Final

import simplejpeg

from smear.cells import CELL_TYPES
from smear.geometry import prepare, profile
from smear.labelled import PICTURE_SUFFIXES, BadDataFolder, LabelledCell, read_folder
from smear.pictures import MisfitPicture, UnreadablePicture
from trainer.draw import by_content, content_sha256
from trainer.split import JPEG_QUALITY, PBC_SOURCE, AlreadyDrawn, same_tree
from trainer.training_set import Withheld


#: Cells a type that are replayed where the whole base set is not there, and cells a kind from outside the five.
PER_TYPE: Final = 60
PER_KIND: Final = 10

_CORE_CHANGES: Final = """What was changed: 60 pictures of each cell type were taken, drawn by content hash, none of
them among those of `holdout/` and `samples/`. Of each picture the centred window of 200 x 200 pixels was cut out and
resized to 128 x 128 (geometry profile `di60`), then saved as JPEG again. `metadata.csv` keeps the type and the SHA-256
of the original file. File names are the original ones.
"""
_OUTSIDE_CHANGES: Final = """What was changed: 10 pictures of each of six kinds outside the five types were taken, drawn
by content hash. Of each picture the centred window of 200 x 200 pixels was cut out and resized to 128 x 128 (geometry
profile `di60`), then saved as JPEG again. `metadata.csv` keeps the kind and the SHA-256 of the original file. No
network trains on them.
"""


def write_core(data: Path, leave_out: Withheld, root: Path) -> int:
    """Draw `root/core` from a data folder; how many cells. Raises BadDataFolder, AlreadyDrawn."""
    allowed = [c for c in read_folder(data) if c.sha256 not in leave_out.holdout | leave_out.samples]
    # From the far end of the order: its beginning is what training keeps apart to calibrate on.
    chosen = [c for t in CELL_TYPES for c in by_content(c for c in allowed if c.cell_type == t)[-PER_TYPE:]]
    _write([(c.cell_type, c.path, c.sha256) for c in chosen], root / "core", _CORE_CHANGES)
    return len(chosen)


def write_outside(data: Path, root: Path) -> int:
    """Draw `root/outside` from a folder of kinds, `DIR/<kind>/<picture>`; how many cells."""
    if not data.is_dir():
        raise BadDataFolder(f"no folder at {data}")
    chosen = []
    for kind in sorted(p for p in data.iterdir() if p.is_dir()):
        files = [(content_sha256(p), p) for p in kind.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES]
        chosen += [(kind.name, path, digest) for digest, path in sorted(files)[:PER_KIND]]
    if not chosen:
        raise BadDataFolder(f"{data} holds no picture")
    _write(chosen, root / "outside", _OUTSIDE_CHANGES)
    return len(chosen)


def original_hashes(cells: list[LabelledCell], folder: Path) -> set[str]:
    """SHA-256 of these cells and of the original pictures that a shipped folder was drawn from."""
    lines = (folder / "metadata.csv").read_text(encoding="utf-8").splitlines()[1:]
    return {cell.sha256 for cell in cells} | {line.rpartition(",")[2] for line in lines}


def _write(chosen: list[tuple[str, Path, str]], final: Path, changes: str) -> None:
    geometry = profile("di60")
    final.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".core.", dir=final.parent) as name:
        folder = Path(name) / final.name
        lines = ["file,label,source_sha256"]
        for label, source, digest in chosen:
            try:
                image = prepare(source.read_bytes(), geometry)
            except (UnreadablePicture, MisfitPicture) as error:
                raise BadDataFolder(f"{source} cannot be shipped: {error}") from None
            path = folder / label / f"{source.stem}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(simplejpeg.encode_jpeg(image, JPEG_QUALITY, "RGB", "444", fastdct=False))
            lines.append(f"{label}/{path.name},{label},{digest}")
        (folder / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (folder / "ATTRIBUTION.md").write_text(PBC_SOURCE + changes, encoding="utf-8")
        if final.is_dir() and any(final.iterdir()):
            if same_tree(folder, final):
                return
            raise AlreadyDrawn(f"{final} holds other cells; they are drawn once, so move that away first")
        shutil.rmtree(final, ignore_errors=True)
        folder.rename(final)
