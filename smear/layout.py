"""How an analyser lays a slide out in its export folder. One face; the layouts differ in where pictures lie.

No public specification of the DI-60's export exists, so the layout is configuration (WNET_LAYOUT).
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Protocol

from smear.files import Stat, open_folder, shown


#: Files that are taken for pictures. What is inside decides what they are; TIFF is named, and refused by name.
PICTURE_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"})
COMPLETE_MARKER: Final = ".complete"
SIDECAR: Final = "slide.json"


@dataclass(frozen=True)
class FoundPicture:
    """A picture file of a slide: its path inside the slide's folder, its stat, the analyser's own class or None."""

    path: str
    stat: Stat
    analyser_class: str | None


@dataclass(frozen=True)
class Listing:
    """What one look into a slide's folder saw.

    `signature` changes whenever a name in it comes or goes; two equal signatures cost two looks at folder times.
    """

    pictures: tuple[FoundPicture, ...]
    complete_marker: bool
    sidecar: Stat | None
    signature: str


class Layout(Protocol):
    """Where slides lie under a source's root, and pictures in a slide. Folders are relative, with forward slashes."""

    name: str

    def slides(self, root: Path) -> Iterator[tuple[str, str]]:
        """(slide_id, folder) of every slide folder under a root, in any order; raises OSError if the root is away."""
        ...

    def slide_of(self, path: str) -> tuple[str, str] | None:
        """(slide_id, folder) that a path below the root belongs to; None for what lies outside every slide."""
        ...

    def look(self, root: Path, folder: str) -> Listing:
        """List one slide's folder; raises OSError if it is away."""
        ...

    def signature(self, root: Path, folder: str) -> str:
        """What `look(...).signature` would be, without looking at the files."""
        ...

    def is_slide(self, folder: Path) -> bool:
        """Whether a folder given by a person is itself a slide, rather than a folder of slides."""
        ...


def _is_picture(name: str) -> bool:
    return not name.startswith(".") and PurePosixPath(name).suffix.lower() in PICTURE_SUFFIXES


def _folders(path: Path | int) -> Iterator[str]:
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                yield entry.name


def _pictures(folder: int, prefix: str, analyser_class: str | None) -> Iterator[FoundPicture]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if not _is_picture(entry.name):
                continue
            try:
                # Links, FIFOs and devices are listed too: the worker names each on its cell and reads none.
                found = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if not entry.is_dir(follow_symlinks=False):
                yield FoundPicture(prefix + entry.name, Stat.of(found), analyser_class)


def _stat_of(folder: int, name: str) -> Stat | None:
    try:
        return Stat.of(os.stat(name, dir_fd=folder, follow_symlinks=False))
    except OSError:
        return None


class SlidesLayout:
    """`<root>/<slide_id>/<picture>`: the default."""

    name = "slides"

    def slides(self, root: Path) -> Iterator[tuple[str, str]]:
        """Every folder of the root is a slide."""
        for name in _folders(root):
            yield name, name

    def slide_of(self, path: str) -> tuple[str, str] | None:
        """The first folder of the path."""
        parts = PurePosixPath(path).parts
        if not parts or parts[0].startswith("."):
            return None
        return parts[0], parts[0]

    def look(self, root: Path, folder: str) -> Listing:
        """The pictures lie in the folder itself."""
        with open_folder(root, folder) as descriptor:
            signature = str(os.fstat(descriptor).st_mtime_ns)
            pictures = sorted(_pictures(descriptor, "", None), key=lambda p: p.path)
            marker = _stat_of(descriptor, COMPLETE_MARKER) is not None
            return Listing(tuple(pictures), marker, _stat_of(descriptor, SIDECAR), signature)

    def signature(self, root: Path, folder: str) -> str:
        """The folder's modification time in nanoseconds."""
        with open_folder(root, folder) as descriptor:
            return str(os.fstat(descriptor).st_mtime_ns)

    def is_slide(self, folder: Path) -> bool:
        """A folder with pictures in it is a slide."""
        with os.scandir(folder) as entries:
            return any(_is_picture(e.name) and not e.is_dir(follow_symlinks=False) for e in entries)


class ClassesLayout:
    """`<root>/<slide_id>/<class>/<picture>`; the class is the analyser's opinion, kept beside ours, never as truth."""

    name = "classes"

    def slides(self, root: Path) -> Iterator[tuple[str, str]]:
        """Every folder of the root is a slide."""
        return SlidesLayout().slides(root)

    def slide_of(self, path: str) -> tuple[str, str] | None:
        """The first folder of the path."""
        return SlidesLayout().slide_of(path)

    def look(self, root: Path, folder: str) -> Listing:
        """The pictures lie one folder deeper, in a folder a class."""
        with open_folder(root, folder) as descriptor:
            times, pictures = [f"{os.fstat(descriptor).st_mtime_ns}"], list[FoundPicture]()
            for name in sorted(_folders(descriptor)):
                with open_folder(root, f"{folder}/{name}") as inner:
                    times.append(f"{shown(name)}:{os.fstat(inner).st_mtime_ns}")
                    pictures += _pictures(inner, f"{name}/", shown(name))
            marker = _stat_of(descriptor, COMPLETE_MARKER) is not None
            ordered = tuple(sorted(pictures, key=lambda p: p.path))
            return Listing(ordered, marker, _stat_of(descriptor, SIDECAR), "|".join(times))

    def signature(self, root: Path, folder: str) -> str:
        """The modification times of the slide's folder and of each class's."""
        with open_folder(root, folder) as descriptor:
            times = [f"{os.fstat(descriptor).st_mtime_ns}"]
            for name in sorted(_folders(descriptor)):
                with open_folder(root, f"{folder}/{name}") as inner:
                    times.append(f"{shown(name)}:{os.fstat(inner).st_mtime_ns}")
            return "|".join(times)

    def is_slide(self, folder: Path) -> bool:
        """A folder whose folders hold pictures is a slide."""
        return any(SlidesLayout().is_slide(folder / name) for name in _folders(folder))


LAYOUTS: Final[dict[str, Layout]] = {layout.name: layout for layout in (SlidesLayout(), ClassesLayout())}


def layout(name: str) -> Layout:
    """The layout of that name; ValueError names those there are."""
    try:
        return LAYOUTS[name]
    except KeyError:
        raise ValueError(f"no layout {name!r}; there are: {', '.join(LAYOUTS)}") from None


def is_blood(slide_id: str, not_blood: str) -> bool:
    """Whether a slide of this name is a blood smear; body fluid and control slides get no differential."""
    return re.search(not_blood, slide_id) is None
