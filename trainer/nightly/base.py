"""What is replayed at night: the shipped core, or the whole base set where WNET_BASE_DATA names it."""

from pathlib import Path

from smear import shipped
from smear.bundle import Bundle
from smear.geometry import profile
from smear.labelled import BadDataFolder, Pixels, load_pixels, read_folder
from smear.plain import PlainError
from trainer.training_set import withheld


class NoBase(PlainError):
    """There is nothing to replay; its text says why."""


def base_cells(base_data: Path | None, champion: Bundle) -> Pixels:
    """The replayed cells as pixels; never one of the hold-out or the samples. Raises NoBase."""
    try:
        if base_data is None:
            # The shipped core is cut already.
            return load_pixels(read_folder(shipped.folder("core")), profile("whole"))
        apart = withheld()
        allowed = [c for c in read_folder(base_data) if c.sha256 not in apart.holdout | apart.samples]
        return load_pixels(allowed, profile(champion.manifest.geometry))
    except (BadDataFolder, FileNotFoundError) as error:
        raise NoBase(str(error)) from None
