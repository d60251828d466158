"""Layout `flat`: `<root>/<file>`, with a regular expression that names slide and cell."""

import hashlib
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from smear.files import Stat, open_folder, shown
from smear.listing import (
    COMPLETE_MARKER,
    FoundPicture,
    Listing,
    all_of,
    compiled,
    is_picture,
    news_of,
    slide_name,
    stranger_by_name,
)
from smear.sidecar import SIDECARS


#: `S-0001_017.jpg` is cell 017 of slide S-0001.
DEFAULT_PATTERN: Final = r"(?P<slide>.+)_(?P<cell>[^_]+)\.[^.]+"
#: A listing made this long after the folder last changed holds until it changes again, but for this long at most:
#: some file systems tell folder times no finer than two seconds.
_STILL_SECONDS: Final = 3.0
_KEPT_SECONDS: Final = 60.0
_ENDINGS: Final = (COMPLETE_MARKER, *(name.removeprefix("slide") for name in SIDECARS))


@dataclass(frozen=True)
class _Index:
    """The names in a root by the slide they belong to."""

    state: tuple[int, int, int]
    made: float
    trusted: bool
    names: dict[str, list[str]]


class FlatLayout:
    """All slides' pictures lie in the root. The pattern is matched with the whole file name; a group `class`, where it
    has one, is the analyser's opinion. `<slide>.complete` and `<slide>.json` are a slide's marker and sidecar.
    """

    def __init__(self, pattern: str = DEFAULT_PATTERN) -> None:
        """Raises ValueError where the pattern is none, or lacks the groups `slide` and `cell`."""
        self._pattern = compiled(pattern)
        if missing := {"slide", "cell"} - self._pattern.groupindex.keys():
            groups = " and ".join(f"(?P<{name}>...)" for name in sorted(missing))
            raise ValueError(f"the pattern of layout flat lacks {groups}: {pattern}")
        self.name: Final = "flat" if pattern == DEFAULT_PATTERN else f"flat:{pattern}"
        self._has_class = "class" in self._pattern.groupindex
        self._indexes: dict[Path, _Index] = {}

    def slides(self, root: Path) -> Iterator[tuple[str, str]]:
        """Every slide that some picture's name speaks of."""
        for slide in self._index(root):
            yield slide_name(slide), slide

    def survey(self, root: Path) -> Iterator[tuple[str, str, str]]:
        """A slide's signature is told by the names of its files."""
        for slide, names in self._index(root).items():
            yield slide_name(slide), slide, _signature(names)

    def slide_of(self, path: str) -> tuple[str, str] | None:
        """By the name alone: a picture's, a marker's, a sidecar's."""
        if "/" in path:
            return None
        found = self._match(path)
        slide = found["slide"] if found is not None else self._beside(path)
        return None if not slide else (slide_name(slide), slide)

    def _match(self, name: str) -> re.Match[str] | None:
        found = self._pattern.fullmatch(name) if is_picture(name) else None
        return found if found is not None and found["slide"] and not found["slide"].startswith(".") else None

    def _beside(self, name: str) -> str | None:
        """The slide of a marker or sidecar; None for another file."""
        lower = name.lower()
        ending = next((e for e in _ENDINGS if lower.endswith(e) and not name.startswith(".")), None)
        return name[: -len(ending)] if ending is not None else None

    def other_name(self, slide_id: str, folder: str) -> str:
        """Slides are told by their names here."""
        del folder
        return slide_id

    def look(self, root: Path, folder: str) -> Listing:
        """The files whose names speak of this slide; raises FileNotFoundError where there are none."""
        names = self._index(root).get(folder)
        if names is None:
            raise FileNotFoundError(2, "No such file or directory", str(root))
        pictures: list[FoundPicture] = []
        others: dict[str, Stat] = {}
        with open_folder(root, ".") as descriptor:
            for name in names:
                try:
                    seen = Stat.of(os.stat(name, dir_fd=descriptor, follow_symlinks=False))
                except FileNotFoundError:
                    continue
                if (found := self._match(name)) is not None:
                    said = shown(found["class"]) if self._has_class and found["class"] else None
                    pictures.append(FoundPicture(name, seen, said))
                else:
                    others[name] = seen
        beside = {name[len(folder) :]: name for name in others}
        sidecars = [beside[ending] for ending in all_of(beside, _ENDINGS[1:])]
        sidecar = sidecars[0] if sidecars else None
        return Listing(
            tuple(pictures),
            any(end.lower() == COMPLETE_MARKER for end in beside),
            others[sidecar] if sidecar is not None else None,
            _signature(names),
            ".",
            sidecar,
            other_sidecars=tuple(sidecars[1:]),
        )

    def has(self, root: Path, folder: str) -> bool:
        """Whether any picture's name speaks of it."""
        return folder in self._index(root)

    def news(self, root: Path) -> str:
        """The root's own time."""
        return news_of(root)

    def is_slide(self, folder: Path) -> bool:
        """A folder is always one of many slides here."""
        del folder
        return False

    def stranger(self, path: str) -> str | None:
        """Pictures lie in the root, and their names match."""
        if "/" not in path and self._beside(path):
            return None
        if (why := stranger_by_name(path)) is not None:
            return why
        if "/" in path:
            return "it lies in a folder: layout flat looks in the root alone"
        return None if self._match(path) is not None else f"its name does not match {self._pattern.pattern}"

    def _index(self, root: Path) -> dict[str, list[str]]:
        """Every slide's file names in order; raises OSError if the root is away.

        Kept while the root's time stands still: otherwise each look at one of many slides would list them all.
        """
        found = root.stat()
        state = (found.st_dev, found.st_ino, found.st_mtime_ns)
        kept, now = self._indexes.get(root), time.monotonic()
        if kept is not None and kept.trusted and kept.state == state and now - kept.made < _KEPT_SECONDS:
            return kept.names
        # Only whether to keep the listing is asked of the wall clock: a wrong one costs another listing.
        trusted = abs(time.time_ns() - found.st_mtime_ns) > _STILL_SECONDS * 1e9
        names: dict[str, list[str]] = {}
        beside: list[tuple[str, str]] = []
        with os.scandir(root) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    continue
                if (match := self._match(entry.name)) is not None:
                    names.setdefault(match["slide"], []).append(entry.name)
                elif slide := self._beside(entry.name):
                    beside.append((slide, entry.name))
        for slide, name in beside:
            if slide in names:
                names[slide].append(name)
        for of_slide in names.values():
            of_slide.sort()
        self._indexes[root] = _Index(state, now, trusted, names)
        return names


def _signature(names: list[str]) -> str:
    return hashlib.sha256(b"\0".join(os.fsencode(name) for name in names)).hexdigest()[:24]
