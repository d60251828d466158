"""Picture files kept by their content: `ab/cdef...` under WNET_PICTURES, because analysers purge their exports.

The name is the SHA-256 of the bytes, so the same picture is kept once, no name from outside reaches the file system,
and what a power cut left half written is told when it is read.
"""

import contextlib
import os
import re
import secrets
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Final

from smear.files import sha256
from smear.pictures import MAX_BYTES


_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_SECONDS_A_DAY: Final = 86_400

#: What a picture may be served as, told by its first bytes alone. Anything else is no picture.
_MEDIA_TYPES: Final = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"), (b"BM", "image/bmp"))


class NotKept(Exception):
    """The picture is not there, or not any more; its text says why, in words."""


def media_type(data: bytes) -> str | None:
    """The type that these bytes may be served as; None where they are no JPEG, PNG or BMP."""
    return next((name for start, name in _MEDIA_TYPES if data.startswith(start)), None)


class PictureStore:
    """Puts, gets and purges. Several hosts may share the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, digest: str, data: bytes) -> None:
        """Keep these bytes; a picture that is kept already only gets younger. Raises OSError."""
        path = self._path(digest)
        try:
            os.utime(path)
        except FileNotFoundError:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        else:
            return
        temporary = path.with_name(f".{digest[:16]}.{secrets.token_hex(4)}")
        try:
            # Not forced to disk: that takes longer than to classify, and a torn file is told by its hash.
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            temporary.rename(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise

    def get(self, digest: str) -> bytes:
        """The bytes of a picture; raises NotKept where they are gone or damaged."""
        try:
            with self._path(digest).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            raise NotKept("this picture is no longer kept") from None
        except OSError as error:
            raise NotKept(f"this picture cannot be read: {error.strerror}") from None
        if sha256(data) != digest:
            raise NotKept("this picture is damaged on disk")
        return data

    def has(self, digest: str) -> bool:
        """Whether a picture is kept; that its bytes are those of its name is only known once they are read."""
        return self._path(digest).is_file()

    def delete(self, digest: str) -> bool:
        """Let a picture go; whether it was there. Raises OSError."""
        try:
            self._path(digest).unlink()
        except FileNotFoundError:
            return False
        return True

    def purge(
        self,
        older_than_days: float,
        keep: Callable[[Collection[str]], Collection[str]],
        now: float | None = None,
    ) -> int:
        """Delete what was put that long ago, but for what `keep` returns of the digests it is asked about; how many.

        `now` is in seconds since the epoch. What cannot be deleted stays.
        """
        before = (time.time() if now is None else now) - older_than_days * _SECONDS_A_DAY
        purged = 0
        for folder in self._folders():
            old = [path for path in folder.iterdir() if _older(path, before)]
            stay = set(keep([folder.name + path.name for path in old])) if old else set()
            for path in old:
                if folder.name + path.name not in stay:
                    with contextlib.suppress(OSError):
                        path.unlink()
                        purged += 1
        return purged

    def _folders(self) -> Iterator[Path]:
        if self._folder.is_dir():
            yield from (path for path in sorted(self._folder.iterdir()) if re.fullmatch("[0-9a-f]{2}", path.name))

    def _path(self, digest: str) -> Path:
        assert _DIGEST.fullmatch(digest), "not a SHA-256"
        return self._folder / digest[:2] / digest[2:]


def _older(path: Path, before: float) -> bool:
    try:
        return path.stat().st_mtime < before
    except OSError:
        return False
