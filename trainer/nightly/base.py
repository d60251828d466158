"""What is replayed at night: the shipped core, or the whole base set where WNET_BASE_DATA names it."""

from collections.abc import Set as AbstractSet
from pathlib import Path

from smear import shipped
from smear.bundle import Bundle
from smear.geometry import Profile, profile
from smear.labelled import BadDataFolder, Pixels, load_pixels, read_folder
from smear.plain import PlainError
from trainer.training_set import withheld


class NoBase(PlainError):
    """There is nothing to replay; its text says why."""


def base_cells(base_data: Path | None, champion: Bundle) -> Pixels:
    """The replayed cells as pixels; never one of the hold-out or the samples. Raises NoBase."""
    if base_data is None:
        # The shipped core is cut already.
        return _read(shipped.folder("core"), profile("whole"), set())
    apart = withheld()
    geometry = champion.manifest.geometry
    found = _read(base_data, profile(geometry), apart.holdout | apart.samples)
    if not len(found.labels):
        raise NoBase(f"no picture in {base_data} (WNET_BASE_DATA) can be used with the geometry {geometry}")
    return found


def _read(folder: Path, how: Profile, apart: AbstractSet[str]) -> Pixels:
    try:
        return load_pixels([cell for cell in read_folder(folder) if cell.sha256 not in apart], how)
    except (BadDataFolder, FileNotFoundError) as error:
        raise NoBase(str(error)) from None
