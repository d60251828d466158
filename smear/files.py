"""Reading a source folder that anybody may write to: read only, no symlink followed, nothing opened but plain files."""

import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from smear.pictures import MAX_BYTES, UnreadablePicture


_NO_FOLLOW: Final = os.O_NOFOLLOW | os.O_CLOEXEC
#: A FIFO or a device must not hang whoever opens it.
_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | _NO_FOLLOW


#: Errors of a share or a disk that may be gone a moment later.
PASSING: Final = frozenset({errno.EIO, errno.ESTALE, errno.EBUSY, errno.ETIMEDOUT, errno.EAGAIN, errno.EINTR})
#: Control characters, the two that part lines, and those that turn the direction of writing.
_STEERING: Final = re.compile("[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_ESCAPE: Final = re.compile(rb"\\(\\|x[0-9a-f]{2})")


class FileChanging(Exception):
    """A file was written to while it was read: its slide has not settled after all."""


@dataclass(frozen=True)
class Stat:
    """What tells, without reading, that a file is still the same: size in bytes, times in nanoseconds, inode.

    Times are as a database holds them, in 64 bits: the year 2446, which file systems know, comes out as another number.
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, result: os.stat_result) -> "Stat":
        """From os.stat."""
        return cls(result.st_size, _in_64_bits(result.st_mtime_ns), _in_64_bits(result.st_ctime_ns), result.st_ino)


def _in_64_bits(number: int) -> int:
    return (number + 2**63) % 2**64 - 2**63


def real(folder: Path) -> Path:
    """The folder that links lead to; where they go round, which `Path.resolve` ends with a traceback, the last link."""
    return Path(os.path.realpath(folder))


@contextmanager
def open_folder(root: Path, relative: str) -> Iterator[int]:
    """A directory descriptor of `root/relative`, opened one component at a time, none of them a symlink.

    Raises OSError (FileNotFoundError where it is gone, NotADirectoryError or ELOOP where it is something else).
    """
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in Path(relative).parts:
            if part in {"..", "/"}:
                raise NotADirectoryError(f"{relative!r} leaves its source")
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | _NO_FOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def open_inside(folder: int, name: str) -> Iterator[int]:
    """A directory descriptor of a folder in an open folder; raises OSError as `open_folder`."""
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | _NO_FOLLOW, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read_file(folder: int, name: str, max_bytes: int = MAX_BYTES) -> tuple[bytes, Stat]:
    """The bytes of a plain file in an open folder, with the stat that holds for them.

    Raises UnreadablePicture (a symlink, FIFO, device, folder, too large), FileChanging, or OSError.
    """
    try:
        descriptor = os.open(name, _READ, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UnreadablePicture("a link, not a file: links are not followed") from None
        if error.errno in {errno.ENXIO, errno.EACCES, errno.EPERM}:  # ENXIO: a socket
            raise UnreadablePicture(f"cannot be opened: {error.strerror}") from None
        raise
    before = os.fstat(descriptor)
    if not stat.S_ISREG(before.st_mode):
        os.close(descriptor)
        raise UnreadablePicture("not a plain file")
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        if before.st_size > max_bytes:
            raise UnreadablePicture(
                f"file of {before.st_size / 2**20:.0f} MB, at most {max_bytes / 2**20:.3g} MB are read"
            )
        # One byte more than there should be tells a file that grows, without room for the largest that is allowed.
        wanted = before.st_size + 1
        data = file.read(wanted)
        while len(data) < before.st_size and (more := file.read(wanted - len(data))):
            data += more
        if Stat.of(os.fstat(descriptor)) != Stat.of(before) or len(data) != before.st_size:
            raise FileChanging(name)
        return data, Stat.of(before)


def sha256(data: bytes) -> str:
    """The content hash that identifies a cell: 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def shown(path: str) -> str:
    """A file name as it can be stored and shown: bytes that are no UTF-8 become escapes, so a backslash is doubled.

    So do characters that would steer a terminal, break a line or turn the order of a text: a name is anybody's to give.
    """
    text = os.fsencode(path).replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")
    return text if text.isprintable() else _STEERING.sub(_escaped, text)


def storable(text: str) -> str:
    """A text as every database can keep it: a NUL or a lone surrogate becomes an escape."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


def raw(text: str) -> str:
    """The path that `shown` made this text of, for the calls of the operating system."""
    return os.fsdecode(_ESCAPE.sub(_unescaped, text.encode()))


def _escaped(found: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02x}" for byte in found[0].encode())


def _unescaped(found: re.Match[bytes]) -> bytes:
    return b"\\" if found[1] == b"\\" else bytes.fromhex(found[1][1:].decode())
