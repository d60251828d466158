"""What one look into a slide's folder sees, and the face of every layout that says where to look."""

import hashlib
import os
import re
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final, Protocol

from smear.files import Stat, shown
from smear.sidecar import SIDECARS


#: Files that are taken for pictures; what is inside decides what they are.
PICTURE_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"})
#: Pictures and slides of formats that nothing here reads, and what holds files packed: named as what they are.
_OTHER_PICTURES: Final = frozenset(
    {
        ".heic",
        ".heif",
        ".webp",
        ".gif",
        ".avif",
        ".jp2",
        ".jxl",
        ".svg",
        ".psd",
        ".dng",
        ".raw",
        ".dcm",
        ".svs",
        ".ndpi",
    }
)
_ARCHIVES: Final = frozenset({".zip", ".7z", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst"})
COMPLETE_MARKER: Final = ".complete"
#: As the table of slides holds it.
MAX_SLIDE_ID: Final = 255


@dataclass(frozen=True)
class FoundPicture:
    """A picture file of a slide: its path inside the listing's folder, its stat, the analyser's own class or None.

    `sha256` is what a manifest says of its content; `problem` is why it is not to be read at all, in words.
    """

    path: str
    stat: Stat
    analyser_class: str | None
    sha256: str | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Listing:
    """What one look at a slide saw. Paths of pictures are relative to `folder`, which is relative to the root.

    `signature` changes whenever a name in the slide comes or goes; two equal signatures cost two looks at folder times.
    `expected` is how many pictures a manifest lists; `other_sidecars` are those that another one goes before.
    """

    pictures: tuple[FoundPicture, ...]
    complete_marker: bool
    sidecar: Stat | None
    signature: str
    folder: str = ""
    sidecar_name: str | None = None
    manifest: Stat | None = None
    expected: int | None = None
    other_sidecars: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Tells this state of the slide's files from any other, also where one was rewritten in place: 16 digits."""
        told = repr([(p.path, p.stat, p.sha256, p.problem) for p in self.pictures])
        return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:16]


class Layout(Protocol):
    """Where slides lie under a source's root, and pictures in a slide.

    A slide's folder is relative to the root, with forward slashes, in the file system's own bytes; where slides share
    one folder it is the name they share instead. A slide_id is always text that can be stored and shown.
    """

    @property
    def name(self) -> str:
        """As it stands in the settings."""
        ...

    def slides(self, root: Path) -> Iterator[tuple[str, str]]:
        """(slide_id, folder) of every slide under a root, in any order; raises OSError if the root is away."""
        ...

    def survey(self, root: Path) -> Iterator[tuple[str, str, str]]:
        """(slide_id, folder, signature) of every slide, without looking at its files; raises as `slides`.

        The signature is the one of `look`, or empty where it cannot be told.
        """
        ...

    def slide_of(self, path: str) -> tuple[str, str] | None:
        """(slide_id, folder) that a path below the root belongs to; None for what lies outside every slide."""
        ...

    def other_name(self, slide_id: str, folder: str) -> str:
        """What a slide is called whose slide_id another folder has already."""
        ...

    def look(self, root: Path, folder: str) -> Listing:
        """List one slide; raises OSError if it is away."""
        ...

    def has(self, root: Path, folder: str) -> bool:
        """Whether anything of a slide is there; raises OSError where that cannot be told."""
        ...

    def news(self, root: Path) -> str:
        """What changes whenever a slide comes: cheap to ask, again and again; raises OSError if the root is away."""
        ...

    def is_slide(self, folder: Path) -> bool:
        """Whether a folder given by a person is itself a slide, rather than a folder of slides."""
        ...

    def stranger(self, path: str) -> str | None:
        """Why a file of this path below the root belongs to no slide, in words; None where by its name it does."""
        ...


def is_picture(name: str) -> bool:
    """Whether a file of this name is taken for a picture."""
    return not name.startswith(".") and PurePosixPath(name).suffix.lower() in PICTURE_SUFFIXES


def slide_name(name: str) -> str:
    """A folder's name as a slide_id: text, and cut where it is longer than the table of slides holds."""
    return cut(shown(name), MAX_SLIDE_ID)


def cut(text: str, length: int) -> str:
    """A text of at most `length` characters; a longer one ends with 16 digits of its hash, so that no two are alike."""
    if len(text) <= length:
        return text
    return f"{text[: length - 17]}~{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def unused_name(how: Layout, slide_id: str, folder: str, used: Collection[str]) -> str:
    """The first name of a slide that no other has."""
    while slide_id in used and (other := how.other_name(slide_id, folder)) != slide_id:
        slide_id = other
    return slide_id


def folders_in(folder: Path | int) -> Iterator[os.DirEntry[str]]:
    """The folders in a folder, but no hidden ones and no links."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                yield entry


def folder_time(entry: os.DirEntry[str]) -> str | None:
    """A folder's modification time in nanoseconds; None where it is gone, empty where it cannot be told."""
    try:
        return str(entry.stat(follow_symlinks=False).st_mtime_ns)
    except FileNotFoundError:
        return None
    except OSError:
        return ""


@dataclass
class Names:
    """What lies in one open folder: pictures with their stat, the marker, the sidecar, the names of other files."""

    pictures: list[FoundPicture] = field(default_factory=list)
    complete_marker: bool = False
    sidecar_name: str | None = None
    sidecar: Stat | None = None
    other_sidecars: tuple[str, ...] = ()
    others: dict[str, Stat] = field(default_factory=dict)


def names_in(folder: int, prefix: str = "", analyser_class: str | None = None) -> Names:
    """Look through one open folder. Links, FIFOs and devices among pictures are listed too: the reader names each."""
    found = Names()
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if name == COMPLETE_MARKER:
                found.complete_marker = True
            if name.startswith(".") or entry.is_dir(follow_symlinks=False):
                continue
            try:
                seen = Stat.of(entry.stat(follow_symlinks=False))
            except FileNotFoundError:
                continue
            if is_picture(name):
                found.pictures.append(FoundPicture(prefix + name, seen, analyser_class))
            else:
                found.others[name] = seen
    found.pictures.sort(key=lambda p: p.path)
    sidecars = all_of(found.others, SIDECARS)
    if sidecars:
        found.sidecar_name, found.sidecar = sidecars[0], found.others[sidecars[0]]
        found.other_sidecars = tuple(sidecars[1:])
    return found


def all_of(names: Collection[str], wanted: tuple[str, ...]) -> list[str]:
    """The wanted names that are there, in the order of `wanted` and in any case: analysers write from systems that know
    no difference.
    """
    by_lower = {name.lower(): name for name in sorted(names, reverse=True)}
    return [by_lower[name] for name in wanted if name in by_lower]


def first_of(names: Collection[str], wanted: tuple[str, ...]) -> str | None:
    """The first wanted name that is there, in any case."""
    return next(iter(all_of(names, wanted)), None)


def has_folder(root: Path, folder: str) -> bool:
    """Whether a folder is there, whatever it is; raises OSError where that cannot be told."""
    try:
        (root / folder).lstat()
    except FileNotFoundError:
        return False
    return True


def time_of(folder: int) -> str:
    """The modification time of an open folder in nanoseconds."""
    return str(os.fstat(folder).st_mtime_ns)


def news_of(root: Path) -> str:
    """Identity and time of a root: they change when a folder in it comes or goes."""
    found = root.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(20, "Not a directory", str(root))
    return f"{found.st_dev}:{found.st_ino}:{found.st_mtime_ns}"


def is_hint(path: str, depth: int, more: tuple[str, ...] = ()) -> bool:
    """Whether a path, `depth` names long, is a slide's marker, sidecar or one of `more`: no stranger."""
    parts = PurePosixPath(path).parts
    hidden = any(part.startswith(".") for part in parts[:-1])
    return len(parts) == depth and not hidden and parts[-1].lower() in (COMPLETE_MARKER, *SIDECARS, *more)


def stranger_by_name(path: str) -> str | None:
    """Why a file of this path is no picture in any layout; None where it may be one."""
    parts = PurePosixPath(path).parts
    if any(part.startswith(".") for part in parts):
        return "its name, or a folder's, begins with a dot: hidden"
    if not is_picture(parts[-1]):
        suffix = PurePosixPath(path).suffix
        if suffix.lower() in _ARCHIVES:
            return "an archive: unpack it"
        if suffix.lower() in _OTHER_PICTURES:
            return f"this format is not read: {shown(suffix)}; pictures end in {', '.join(sorted(PICTURE_SUFFIXES))}"
        return f"no picture: {shown(suffix) or 'no suffix'}; pictures end in {', '.join(sorted(PICTURE_SUFFIXES))}"
    return None


def compiled(pattern: str) -> re.Pattern[str]:
    """A regular expression; ValueError says what is wrong with it."""
    try:
        return re.compile(pattern, re.DOTALL)  # a file's name may hold a line's end
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"not a regular expression: {error}") from None
