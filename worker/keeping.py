"""Keeping picture files at classification, for the review page: analysers purge what they have exported."""

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterable
from typing import Final

import structlog

from smear.picture_store import PictureStore
from smear.settings import Settings


log: Final = structlog.get_logger()

#: Contents that could not be kept and that no slide has asked about yet: more belong to slides that came to nothing.
_REMEMBERED: Final = 10_000
_PROBE_BYTES: Final = 64 * 1024


class Keeper:
    """What a SlideReader hands every file to: puts it into WNET_PICTURES, and remembers what could not be put there.

    The folder is made when a process starts. One that goes away later is a share that is no longer mounted, and
    pictures kept in its place would be lost to everybody else.
    """

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.pictures_folder
        self._keeps = settings.keep_pictures_days > 0
        self._pictures = PictureStore(self._folder)
        self._turn, self._failed = threading.Lock(), set[str]()
        if self._keeps:
            with contextlib.suppress(OSError):  # each picture says so
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def __call__(self, digest: str, data: bytes) -> None:
        """Keep a picture; a differential without pictures is worth more than none, so that nothing is raised."""
        if not self._keeps:
            return
        try:
            if not self._folder.is_dir():
                raise FileNotFoundError(2, "its folder is not there")
            self._pictures.put(digest, data)
        except OSError as error:
            log.warning("picture not kept", sha256=digest[:12], reason=error.strerror)
            with self._turn:
                if len(self._failed) < _REMEMBERED:
                    self._failed.add(digest)

    def not_kept(self, digests: Iterable[str]) -> int:
        """How many of these contents could not be kept; they are forgotten here, for the slide's row has the number."""
        with self._turn:
            missed = self._failed & set(digests)
            self._failed -= missed
        return len(missed)


def keeper(settings: Settings) -> Keeper:
    """The keeper of a process; it keeps nothing where WNET_KEEP_PICTURES_DAYS is 0."""
    return Keeper(settings)


def folder_problem(settings: Settings, *, probe: bool = False) -> str | None:
    """Why pictures cannot be kept just now, in words; None where they can, or where none are to be.

    With `probe` a file is written and removed: only that tells a disk that is full.
    """
    folder = settings.pictures_folder
    if settings.keep_pictures_days <= 0:
        return None
    if not folder.is_dir():
        return f"the folder of kept pictures {folder} is not there"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"the folder of kept pictures {folder} is not writable"
    if probe:
        try:
            with tempfile.NamedTemporaryFile(dir=folder, prefix=".probe") as file:
                file.write(b"\0" * _PROBE_BYTES)
                file.flush()
        except OSError as error:
            return f"nothing can be written to the folder of kept pictures {folder}: {error.strerror}"
    return None
