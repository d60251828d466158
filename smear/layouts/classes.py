"""Layout `classes`: `<root>/<slide_id>/<class>/<picture>`; the class is the analyser's opinion, never truth."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from smear.files import open_folder, open_inside, shown
from smear.layouts.slides import SlidesLayout
from smear.listing import FoundPicture, Listing, folders_in, is_hint, names_in, slide_name, stranger_by_name, time_of


class ClassesLayout:
    """As `slides`, with a folder a class in between."""

    name: Final = "classes"
    _outer = SlidesLayout()

    def slides(self, root: Path) -> Iterator[tuple[str, str]]:
        """Every folder of the root is a slide."""
        return self._outer.slides(root)

    def survey(self, root: Path) -> Iterator[tuple[str, str, str]]:
        """A look at the times of each slide's folder and of its classes'."""
        with open_folder(root, ".") as descriptor:
            for entry in folders_in(descriptor):
                try:
                    with open_inside(descriptor, entry.name) as slide:
                        signature = "|".join([time_of(slide), *_class_times(slide)])
                except FileNotFoundError:
                    continue
                except OSError:
                    signature = ""
                yield slide_name(entry.name), entry.name, signature

    def slide_of(self, path: str) -> tuple[str, str] | None:
        """The first folder of the path."""
        return self._outer.slide_of(path)

    def other_name(self, slide_id: str, folder: str) -> str:
        """Two folders of a root never have one name."""
        return self._outer.other_name(slide_id, folder)

    def look(self, root: Path, folder: str) -> Listing:
        """The pictures lie one folder deeper; the signature joins the times of all these folders."""
        with open_folder(root, folder) as slide:
            times, pictures = [time_of(slide)], list[FoundPicture]()
            seen = names_in(slide)
            for name in _class_names(slide):
                with open_inside(slide, name) as inner:
                    times.append(f"{shown(name)}:{time_of(inner)}")
                    pictures += names_in(inner, f"{name}/", shown(name)).pictures
        ordered = tuple(sorted(pictures, key=lambda p: p.path))
        return Listing(
            ordered,
            seen.complete_marker,
            seen.sidecar,
            "|".join(times),
            folder,
            seen.sidecar_name,
            other_sidecars=seen.other_sidecars,
        )

    def has(self, root: Path, folder: str) -> bool:
        """Whether its folder is there."""
        return self._outer.has(root, folder)

    def news(self, root: Path) -> str:
        """The root's own time."""
        return self._outer.news(root)

    def is_slide(self, folder: Path) -> bool:
        """A folder whose folders hold pictures is a slide."""
        return any(self._outer.is_slide(folder / entry.name) for entry in folders_in(folder))

    def stranger(self, path: str) -> str | None:
        """Pictures lie two folders deep."""
        if is_hint(path, 2):
            return None
        if (why := stranger_by_name(path)) is not None:
            return why
        match len(PurePosixPath(path).parts):
            case 1:
                return "a picture outside every slide's folder"
            case 2:
                return "it lies in the slide's folder, but in no class's"
            case 3:
                return None
            case _:
                return "it lies deeper than the class's folder"


def _class_names(slide: int) -> list[str]:
    return sorted(entry.name for entry in folders_in(slide))


def _class_times(slide: int) -> Iterator[str]:
    for name in _class_names(slide):
        found = os.stat(name, dir_fd=slide, follow_symlinks=False)
        yield f"{shown(name)}:{found.st_mtime_ns}"
