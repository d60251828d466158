"""Finding files that no slide takes, with the reason in words: by listing folders, without a look at each file."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from smear.layout import Layout


#: So many files of a source are named; those beyond are only counted.
MOST_NAMED: Final = 1000
#: Entries that a step looks at; a walk over no more is repeated with every scan, a longer one where there is news.
_A_STEP: Final = 1000
_SHORT: Final = 5000
#: What operating systems leave in folders by themselves, in small letters.
_SYSTEM: Final = frozenset(
    {"thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information", "lost+found", "@eadir"}
)
LINK: Final = "a link: links are not followed"
EMPTY: Final = "an empty folder"
NO_PICTURE: Final = "a folder without a picture"

Ignored = tuple[str, str]


def _unseen(name: str) -> bool:
    """Whether a name is hidden or the operating system's own: no person misses what is in it."""
    return name.startswith((".", "~$")) or name.lower() in _SYSTEM


def outside(root: Path, how: Layout) -> Iterator[Ignored | None]:
    """(path, reason) of every ignored file outside the slides' folders, None for each other entry, one at a time.

    Folders of slides are not entered. Raises OSError where the root cannot be listed.
    """
    folders = [""]
    while folders:
        here = folders.pop()
        empty = True
        try:
            with os.scandir(root / here) as entries:
                for entry in entries:
                    empty = False
                    path = f"{here}/{entry.name}" if here else entry.name
                    if _unseen(entry.name):
                        yield None
                    elif entry.is_symlink():
                        yield path, LINK
                    elif entry.is_dir(follow_symlinks=False):
                        if not _is_slides(how, path):
                            folders.append(path)
                        yield None
                    else:
                        yield None if (why := how.stranger(path)) is None else (path, why)
        except OSError:
            if not here:
                raise
            continue
        if empty and here and how.slide_of(f"{here}/x") is None:
            yield here, EMPTY


def _is_slides(how: Layout, folder: str) -> bool:
    """Whether a folder is a slide's own, rather than one of slides or of nothing."""
    slide = how.slide_of(f"{folder}/x")
    return slide is not None and slide[1] == folder


def inside(root: Path, folder: str, how: Layout, *, pictures: bool) -> list[Ignored]:
    """(path, reason) of the ignored files in a slide's folder; the folder itself where nothing in it is a picture.

    What cannot be listed just now is left out. At most MOST_NAMED.
    """
    found: list[Ignored] = []
    empty = True
    for here, folders, files in os.walk(root / folder):
        relative = os.path.relpath(here, root)
        for name in files:
            empty = False
            if _unseen(name):
                continue
            path = f"{relative}/{name}"
            if (why := how.stranger(path)) is not None:
                found.append((path, why))
        if relative != folder and not folders and not files:
            found.append((relative, EMPTY))
        folders[:] = [name for name in folders if not _unseen(name)]
        if len(found) >= MOST_NAMED:
            break
    if not found and not pictures:
        return [(folder, EMPTY if empty else NO_PICTURE)]
    return found[:MOST_NAMED]


class OutsideWalk:
    """Goes through what lies outside the slides' folders of one source, some of it in every step."""

    def __init__(self, root: Path, how: Layout) -> None:
        self._root, self._how = root, how
        self._entries: Iterator[Ignored | None] | None = None
        self._found: list[Ignored] = []
        self._seen = 0
        self._news: str | None = None

    @property
    def under_way(self) -> bool:
        """Whether more is to be looked through at once."""
        return self._entries is not None

    def begin(self, *, whole: bool) -> None:
        """A scan has ended: walk again where something may be new, or where it costs little, or `whole`."""
        try:
            news = self._how.news(self._root)
        except OSError:
            return
        if whole or self._seen <= _SHORT or news != self._news:
            self._entries, self._found, self._seen, self._news = outside(self._root, self._how), [], 0, news

    def step(self) -> list[Ignored] | None:
        """Some more entries; all that is ignored once the walk has come to its end, else None."""
        if self._entries is None:
            return None
        try:
            some = list(islice(self._entries, _A_STEP))
        except OSError:
            self._entries, self._news = None, None
            return None
        self._seen += len(some)
        self._found += [one for one in some if one is not None]
        if len(some) == _A_STEP:
            return None
        self._entries = None
        return self._found
