"""Is there room left where state grows? Below the reserve no slide is claimed, and all goes on once there is."""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import structlog

from smear.settings import Settings


log: Final = structlog.get_logger()


def free_bytes(folder: Path) -> int | None:
    """Free room for us on a folder's disk; None where the folder is not there."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def short_of_room(settings: Settings, free: Callable[[Path], int | None] = free_bytes) -> tuple[Path, int] | None:
    """The first folder with less room than the reserve, and how many bytes it has; None where all is well."""
    return _first_short(settings.state_folders, settings.disk_reserve_mb * 2**20, free)


def _first_short(
    folders: Iterable[Path], reserve_bytes: int, free: Callable[[Path], int | None]
) -> tuple[Path, int] | None:
    for folder in folders:
        left = free(folder)
        if left is not None and left < reserve_bytes:
            return folder, left
    return None


class Room:
    """Looks before each claim. Says once that claims stop, and once that they go on."""

    def __init__(self, settings: Settings, free: Callable[[Path], int | None] = free_bytes) -> None:
        self._settings, self._free = settings, free
        self._short = False

    def enough(self) -> bool:
        """Whether a slide may be claimed."""
        found = short_of_room(self._settings, self._free)
        if found is not None and not self._short:
            log.warning(
                "the disk is nearly full: no slide is claimed until there is room",
                folder=str(found[0]),
                free_mb=found[1] // 2**20,
                reserve_mb=self._settings.disk_reserve_mb,
            )
        elif found is None and self._short:
            log.info("there is room again: going on")
        self._short = found is not None
        return not self._short
