"""A slide's folder, read: every picture hashed, checked and brought to the network's size, by several threads."""

import errno
import os
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Final, Literal

from smear.files import FileChanging, Stat, open_folder, read_file, sha256, shown
from smear.geometry import Profile, prepare
from smear.layout import FoundPicture, Listing
from smear.layouts.manifest import DIFFERS
from smear.pictures import RGB, MisfitPicture, UnreadablePicture


#: Errors of a share or a disk that may be gone a moment later.
_PASSING: Final = frozenset({errno.EIO, errno.ESTALE, errno.EBUSY, errno.ETIMEDOUT, errno.EAGAIN, errno.EINTR})


#: Pictures in memory at a time, whatever the size of the slide: 49 KB each.
CHUNK: Final = 256


#: Pictures that a thread takes at a time.
HANDFUL: Final = 8


#: What is said of a content that nobody may decode any more (worker/quarantine.py).
QUARANTINED: Final = "in quarantine: it ended the worker twice when it was read alone (`worker quarantine`)"


Keep = Callable[[str, bytes], object]


class SourceAway(Exception):
    """The share, or one file on it, cannot be read just now; trying again later helps."""


class SlideChanging(Exception):
    """A file came, went or grew while the slide was read: it has not settled after all."""


@dataclass(frozen=True)
class ReadPicture:
    """One file of a slide. `sha256` is None where it gave no bytes; `pixels` (128, 128, 3) where it can be classified.

    `trouble` says what it is otherwise, and `problem` why, in words.
    """

    path: str
    stat: Stat
    analyser_class: str | None
    sha256: str | None
    pixels: RGB | None
    trouble: Literal["misfit", "unreadable"] | None = None
    problem: str | None = None


class SlideReader:
    """Reads pictures with a few threads: decoding leaves the interpreter's lock, so cores are shared out.

    `keep` is handed every file's SHA-256 and bytes, whatever becomes of it.
    """

    def __init__(self, threads: int = 0, keep: Keep = lambda _digest, _data: None) -> None:
        self._keep = keep
        self._pool = ThreadPoolExecutor(threads or len(os.sched_getaffinity(0)), thread_name_prefix="read")

    def read(
        self,
        root: Path,
        folder: str,
        listing: Listing,
        geometry: Profile,
        *,
        forgiving: bool = True,
        progress: Callable[[], object] = lambda: None,
        quarantined: AbstractSet[str] = frozenset(),
        in_hand: Callable[[str | None], object] | None = None,
    ) -> Iterator[list[ReadPicture]]:
        """Every picture of the listing, in its order, at most CHUNK at a time.

        Raises SourceAway where a read error may pass; with `forgiving` such a file is recorded as unreadable
        instead, so that one bad sector cannot hold a slide up for ever. Raises SlideChanging where a file was
        written to meanwhile. `progress` is called after each picture. Contents in `quarantined` are not decoded.
        With `in_hand` pictures come one at a time, in this thread; it is told which content is about to be decoded,
        and None before anything else is done: whoever dies then died of that content alone.
        """
        for sub, group in groupby(listing.pictures, key=lambda p: str(PurePosixPath(p.path).parent)):
            try:
                with open_folder(root, str(PurePosixPath(folder) / sub)) as descriptor:
                    pictures = list(group)
                    if in_hand is not None:
                        yield from self._read_singly(
                            descriptor, pictures, geometry, forgiving, progress, quarantined, in_hand
                        )
                        continue
                    for chunk in _chunks(pictures, CHUNK):
                        yield self._read_chunk(descriptor, chunk, geometry, forgiving, progress, quarantined)
            except FileNotFoundError:
                raise SourceAway("the slide's folder is not there") from None
            except FileChanging as error:
                raise SlideChanging(str(error)) from None
            except OSError as error:
                raise SourceAway(f"the slide's folder cannot be read: {error.strerror}") from error

    def _read_chunk(
        self,
        descriptor: int,
        chunk: list[FoundPicture],
        geometry: Profile,
        forgiving: bool,
        progress: Callable[[], object],
        quarantined: AbstractSet[str],
    ) -> list[ReadPicture]:
        def some(group: list[FoundPicture]) -> list[ReadPicture]:
            pictures = []
            for found in group:
                pictures.append(_decode(self._fetch(descriptor, found, forgiving), geometry, quarantined))
                progress()
            return pictures

        # A few at a time: handing each picture over by itself takes a tenth of the time to read it.
        return [picture for group in self._pool.map(some, _chunks(chunk, HANDFUL)) for picture in group]

    def _fetch(self, descriptor: int, found: FoundPicture, forgiving: bool) -> "_Fetched | ReadPicture":
        fetched = _fetch(descriptor, found, forgiving)
        if isinstance(fetched, _Fetched):
            self._keep(fetched.sha256, fetched.data)
        return fetched

    def _read_singly(
        self,
        descriptor: int,
        pictures: list[FoundPicture],
        geometry: Profile,
        forgiving: bool,
        progress: Callable[[], object],
        quarantined: AbstractSet[str],
        in_hand: Callable[[str | None], object],
    ) -> Iterator[list[ReadPicture]]:
        # Reading may hang or be killed too, and is no picture's doing: so a handful is read before the first of it is
        # decoded.
        for handful in _chunks(pictures, HANDFUL):
            for one in [self._fetch(descriptor, found, forgiving) for found in handful]:
                if isinstance(one, _Fetched) and one.sha256 not in quarantined:
                    in_hand(one.sha256)
                yield [_decode(one, geometry, quarantined)]
                progress()
            in_hand(None)

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _chunks(items: list[FoundPicture], size: int) -> Iterator[list[FoundPicture]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def fetch(folder: int, name: str) -> tuple[bytes, Stat, str]:
    """A file's bytes, the stat that holds for them, and their SHA-256; raises as `read_file` does."""
    data, stat = read_file(folder, name)
    return data, stat, sha256(data)


def to_pixels(data: bytes, geometry: Profile) -> RGB:
    """What the network sees of a picture file: (128, 128, 3) uint8; raises UnreadablePicture or MisfitPicture."""
    return prepare(data, geometry)


@dataclass(frozen=True)
class _Fetched:
    """A file whose bytes are there and whose pixels are not yet."""

    found: FoundPicture
    data: bytes
    stat: Stat
    sha256: str


def _fetch(folder: int, found: FoundPicture, forgiving: bool) -> _Fetched | ReadPicture:
    name, path = PurePosixPath(found.path).name, shown(found.path)
    try:
        return _Fetched(found, *_fetch_listed(folder, name, found))
    except UnreadablePicture as error:
        return ReadPicture(path, found.stat, found.analyser_class, None, None, "unreadable", str(error))
    except FileNotFoundError:
        if not forgiving:
            raise FileChanging(path) from None
        return ReadPicture(path, found.stat, found.analyser_class, None, None, "unreadable", "went away unread")
    except OSError as error:
        if error.errno in _PASSING and not forgiving:
            raise
        reason = f"cannot be read: {error.strerror}"
        return ReadPicture(path, found.stat, found.analyser_class, None, None, "unreadable", reason)


def _decode(one: _Fetched | ReadPicture, geometry: Profile, quarantined: AbstractSet[str]) -> ReadPicture:
    if isinstance(one, ReadPicture):
        return one
    path, kind, digest = shown(one.found.path), one.found.analyser_class, one.sha256
    if digest in quarantined:
        return ReadPicture(path, one.stat, kind, digest, None, "unreadable", QUARANTINED)
    try:
        pixels = _listed_pixels(one, geometry)
    except UnreadablePicture as error:
        return ReadPicture(path, one.stat, kind, digest, None, "unreadable", str(error))
    except MisfitPicture as error:
        return ReadPicture(path, one.stat, kind, digest, None, "misfit", str(error))
    return ReadPicture(path, one.stat, kind, digest, pixels)


def _fetch_listed(folder: int, name: str, found: FoundPicture) -> tuple[bytes, Stat, str]:
    if found.problem is not None:
        raise UnreadablePicture(found.problem)
    return fetch(folder, name)


def _listed_pixels(one: _Fetched, geometry: Profile) -> RGB:
    if one.found.sha256 not in {None, one.sha256}:
        raise UnreadablePicture(DIFFERS)
    return to_pixels(one.data, geometry)
