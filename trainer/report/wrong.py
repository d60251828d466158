"""The cells that a run took for another type, the most confident first, with their pictures where these still are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from smear.cells import CELL_TYPES
from smear.files import raw, sha256
from smear.geometry import Profile, prepare
from smear.pictures import MAX_BYTES, RGB, MisfitPicture, UnreadablePicture
from trainer.run_folder import Cells


#: How many are shown as pictures: five rows of eight.
SHOWN: Final = 40


@dataclass(frozen=True)
class WrongCell:
    """One error: `fold` as in Table 3, `probability` of the predicted type, `own` of the true one."""

    file: str
    sha256: str
    fold: int
    true: str
    predicted: str
    probability: float
    own: float


@dataclass(frozen=True)
class Thumbnail:
    """A wrong cell as the network saw it, (128, 128, 3) uint8 RGB; else None and the reason."""

    cell: WrongCell
    picture: RGB | None
    missing: str


def wrong_cells(cells: Cells) -> list[WrongCell]:
    """Every error, the most confident first."""
    found = [
        WrongCell(
            file=cells.files[i],
            sha256=cells.sha256[i],
            fold=int(cells.folds[i]),
            true=CELL_TYPES[cells.labels[i]],
            predicted=CELL_TYPES[cells.predicted[i]],
            probability=float(cells.probabilities[i].max()),
            own=float(cells.probabilities[i, cells.labels[i]]),
        )
        for i in (~cells.right).nonzero()[0]
    ]
    return sorted(found, key=lambda cell: (-cell.probability, cell.file))


def thumbnails(cells: Sequence[WrongCell], data: Path, geometry: Profile) -> list[Thumbnail]:
    """Their pictures, out of the data folder; what is gone, changed or unreadable is left out with its reason."""
    return [_thumbnail(cell, data, geometry) for cell in cells]


def _thumbnail(cell: WrongCell, data: Path, geometry: Profile) -> Thumbnail:
    try:
        return Thumbnail(cell, prepare(_content(cell, data), geometry), "")
    except (_LeftOut, UnreadablePicture, MisfitPicture) as reason:
        return Thumbnail(cell, None, str(reason))
    except OSError as error:
        return Thumbnail(cell, None, f"cannot be read: {error.strerror}")


class _LeftOut(Exception):
    """Why a picture is not shown."""


def _content(cell: WrongCell, data: Path) -> bytes:
    """The very bytes that were judged; links are followed, as training follows them."""
    inside = PurePosixPath(raw(cell.file))
    if inside.is_absolute() or ".." in inside.parts or "\0" in str(inside):
        raise _LeftOut("lies outside the data folder")
    file = data / inside
    if not file.is_file():
        raise _LeftOut("no longer in the data folder")
    if file.stat().st_size > MAX_BYTES:
        raise _LeftOut("too large")
    content = file.read_bytes()
    if sha256(content) != cell.sha256:
        raise _LeftOut("has other content by now")
    return content
