"""Layout `slides`: `<root>/<slide_id>/<picture>`, the default."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from smear.files import open_folder
from smear.listing import (
    Listing,
    folder_time,
    folders_in,
    has_folder,
    is_hint,
    is_picture,
    names_in,
    news_of,
    slide_name,
    stranger_by_name,
    time_of,
)


class SlidesLayout:
    """Every folder of the root is a slide, and its pictures lie in it."""

    name: Final = "slides"

    def slides(self, root: Path) -> Iterator[tuple[str, str]]:
        """Every folder of the root."""
        for entry in folders_in(root):
            yield slide_name(entry.name), entry.name

    def survey(self, root: Path) -> Iterator[tuple[str, str, str]]:
        """One look at each folder's time."""
        with open_folder(root, ".") as descriptor:
            for entry in folders_in(descriptor):
                if (time := folder_time(entry)) is not None:
                    yield slide_name(entry.name), entry.name, time

    def slide_of(self, path: str) -> tuple[str, str] | None:
        """The first folder of the path."""
        parts = PurePosixPath(path).parts
        if not parts or parts[0].startswith("."):
            return None
        return slide_name(parts[0]), parts[0]

    def other_name(self, slide_id: str, folder: str) -> str:
        """Two folders of a root never have one name."""
        del folder
        return slide_id

    def look(self, root: Path, folder: str) -> Listing:
        """The pictures lie in the folder itself; its signature is its modification time."""
        with open_folder(root, folder) as descriptor:
            signature = time_of(descriptor)
            seen = names_in(descriptor)
        return Listing(
            tuple(seen.pictures),
            seen.complete_marker,
            seen.sidecar,
            signature,
            folder,
            seen.sidecar_name,
            other_sidecars=seen.other_sidecars,
        )

    def has(self, root: Path, folder: str) -> bool:
        """Whether its folder is there."""
        return has_folder(root, folder)

    def news(self, root: Path) -> str:
        """The root's own time."""
        return news_of(root)

    def is_slide(self, folder: Path) -> bool:
        """A folder with pictures in it is a slide."""
        with os.scandir(folder) as entries:
            return any(is_picture(e.name) and not e.is_dir(follow_symlinks=False) for e in entries)

    def stranger(self, path: str) -> str | None:
        """Pictures lie one folder deep."""
        if is_hint(path, 2):
            return None
        if (why := stranger_by_name(path)) is not None:
            return why
        match len(PurePosixPath(path).parts):
            case 1:
                return "a picture outside every slide's folder"
            case 2:
                return None
            case _:
                return "it lies deeper than the slide's folder"
