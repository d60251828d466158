"""What a network may train on: a data folder without the hold-out and the samples, an inner split kept apart."""

import csv
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from smear import shipped
from smear.cells import CELL_TYPES
from smear.geometry import Profile
from smear.labelled import PICTURE_SUFFIXES, BadDataFolder, LabelledCell, Pixels, load_pixels, read_folder
from trainer.draw import put_aside
from trainer.replay import replayed


Progress = Callable[[Iterator[object]], Iterator[object]]


@dataclass(frozen=True)
class Choice:
    """The cells of a data folder by what they are for; no model trains on `holdout` or the `samples` so many cells."""

    train: list[LabelledCell]
    inner: list[LabelledCell]
    holdout: list[LabelledCell]
    samples: int


@dataclass(frozen=True)
class TrainingSet:
    """A choice's pixels in memory: what is trained on, and what is kept apart for calibration."""

    train: Pixels
    inner: Pixels

    @property
    def cells(self) -> list[LabelledCell]:
        """All cells that have a part in the result, those of the inner split too."""
        return self.train.cells + self.inner.cells

    @property
    def refused(self) -> list[tuple[LabelledCell, str]]:
        """What could not be used, with its reason."""
        return self.train.refused + self.inner.refused


@dataclass(frozen=True)
class Withheld:
    """SHA-256 of the original pictures behind the shipped hold-out and of those in the shipped samples."""

    holdout: frozenset[str]
    samples: frozenset[str]


def withheld() -> Withheld:
    """What no model trains on.

    Raises FileNotFoundError where the two folders are not installed: without them nobody can say what to leave out.
    """
    with (shipped.folder("holdout") / "metadata.csv").open(newline="", encoding="utf-8") as file:
        holdout = frozenset(row["source_sha256"] for row in csv.DictReader(file))
    pictures = (p for p in shipped.folder("samples").glob("*/*") if p.suffix.lower() in PICTURE_SUFFIXES)
    return Withheld(holdout, frozenset(hashlib.sha256(p.read_bytes()).hexdigest() for p in pictures))


def choose(folder: Path, inner_share: float, leave_out: Withheld, replay: Path | None = None) -> Choice:
    """Read a data folder and divide it; raises BadDataFolder, also where a type is left with too few pictures.

    With `replay`, cells of that folder join those of `folder`, which may then lack a type.
    """
    cells = read_folder(folder, min_per_type=1 if replay is None else 0)
    if not cells:
        raise BadDataFolder(f"{folder} holds no picture")
    if replay is not None:
        cells += replayed(cells, read_folder(replay))
    allowed = [cell for cell in cells if cell.sha256 not in leave_out.holdout | leave_out.samples]
    train, inner = put_aside(allowed, inner_share)
    for cell_type in CELL_TYPES:
        for part in (train, inner):
            if not any(cell.cell_type == cell_type for cell in part):
                n = sum(cell.cell_type == cell_type for cell in allowed)
                raise BadDataFolder(
                    f"{folder} leaves {n} pictures of type {cell_type} to train on, at least 2 (of different slides,"
                    " where those are known) are needed"
                )
    holdout = [cell for cell in cells if cell.sha256 in leave_out.holdout]
    return Choice(train, inner, holdout, len(cells) - len(allowed) - len(holdout))


def refuse_unusable(pixels: Pixels, folder: Path, skip: bool) -> None:
    """Raise BadDataFolder where pictures cannot be used, unless they are to be skipped; always where none can."""
    if not pixels.refused:
        return
    cell, reason = pixels.refused[0]
    n = len(pixels.refused)
    if not pixels.cells or not skip:
        raise BadDataFolder(
            f"{n} of the pictures in {folder} cannot be used, first {cell.shown}: {reason}; mend or remove them"
            + ("" if skip else ", or add --skip-unusable")
        )


def load(choice: Choice, geometry: Profile, progress: Progress = iter, *, skip_unusable: bool = False) -> TrainingSet:
    """Decode a choice's pictures; raises BadDataFolder where one cannot be used, unless such are to be skipped."""
    both = load_pixels(choice.train + choice.inner, geometry, progress)
    if both.refused:
        refuse_unusable(both, both.refused[0][0].path.parent.parent, skip_unusable)
    inner_hashes = {cell.sha256 for cell in choice.inner}
    parts = []
    for wants_inner in (False, True):
        rows = [i for i, cell in enumerate(both.cells) if (cell.sha256 in inner_hashes) == wants_inner]
        refused = [(cell, reason) for cell, reason in both.refused if (cell.sha256 in inner_hashes) == wants_inner]
        parts.append(Pixels(both.images[rows], both.labels[rows], [both.cells[i] for i in rows], refused))
    train, inner = parts
    for index, cell_type in enumerate(CELL_TYPES):
        for part in parts:
            if not (part.labels == index).any():
                reason = next((text for cell, text in both.refused if cell.cell_type == cell_type), "none is left")
                raise BadDataFolder(f"too few usable pictures of type {cell_type}: {reason}")
    return TrainingSet(train, inner)
