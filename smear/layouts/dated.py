"""Layout `dated`: `<root>/<yyyymmdd>/<slide_id>/<picture>`."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Final

import structlog

from smear.files import open_folder, open_inside
from smear.layouts.slides import SlidesLayout
from smear.listing import Listing, folder_time, folders_in, is_hint, news_of, slide_name, stranger_by_name


log: Final = structlog.get_logger()

_DAY: Final = re.compile(r"\d{8}", re.ASCII)


def is_day(name: str) -> bool:
    """Whether a folder's name is a date, as 20261123."""
    if _DAY.fullmatch(name) is None:
        return False
    try:
        datetime.strptime(name, "%Y%m%d")  # noqa: DTZ007 - a name, not a moment
    except ValueError:
        return False
    return True


class DatedLayout:
    """A folder a day, and in it a folder a slide.

    Control slides bear one name every day: the first keeps it, the later ones get the day's too.
    """

    name: Final = "dated"
    _day = SlidesLayout()

    def __init__(self) -> None:
        self._closed: set[Path] = set()

    def slides(self, root: Path) -> Iterator[tuple[str, str]]:
        """Every folder of every day, the days in order."""
        for day in self._days(root):
            with self._telling_if_closed(root / day):
                for slide_id, folder in self._day.slides(root / day):
                    yield slide_id, f"{day}/{folder}"

    def survey(self, root: Path) -> Iterator[tuple[str, str, str]]:
        """One look at each slide folder's time."""
        with open_folder(root, ".") as descriptor:
            for day in self._days(descriptor):
                with self._telling_if_closed(root / day), open_inside(descriptor, day) as inner:
                    for entry in folders_in(inner):
                        if (time := folder_time(entry)) is not None:
                            yield slide_name(entry.name), f"{day}/{entry.name}", time

    @contextmanager
    def _telling_if_closed(self, day: Path) -> Iterator[None]:
        """A day that we may not enter, or that has just gone, hides no other."""
        try:
            yield
            self._closed.discard(day)
        except FileNotFoundError:
            return
        except PermissionError as error:
            if day not in self._closed:
                log.warning("a day's slides cannot be seen", folder=str(day), reason=error.strerror)
            self._closed.add(day)

    def _days(self, root: Path | int) -> list[str]:
        return sorted(entry.name for entry in folders_in(root) if is_day(entry.name))

    def slide_of(self, path: str) -> tuple[str, str] | None:
        """The second folder of a path whose first is a day."""
        parts = PurePosixPath(path).parts
        if len(parts) < 2 or not is_day(parts[0]) or parts[1].startswith("."):
            return None
        return slide_name(parts[1]), f"{parts[0]}/{parts[1]}"

    def other_name(self, slide_id: str, folder: str) -> str:
        """The name with its day: a folder is a smear, and another day's folder is another smear."""
        return slide_name(f"{slide_id}@{PurePosixPath(folder).parts[0]}")

    def look(self, root: Path, folder: str) -> Listing:
        """The pictures lie in the slide's folder."""
        return self._day.look(root, folder)

    def has(self, root: Path, folder: str) -> bool:
        """Whether its folder is there."""
        return self._day.has(root, folder)

    def news(self, root: Path) -> str:
        """The times of the root and of every day."""
        times = (f"{e.name}={folder_time(e)}" for e in folders_in(root) if is_day(e.name))
        return " ".join((news_of(root), *sorted(times)))

    def is_slide(self, folder: Path) -> bool:
        """A folder with pictures in it, unless it is a day's."""
        return not is_day(folder.name) and self._day.is_slide(folder)

    def stranger(self, path: str) -> str | None:
        """Pictures lie two folders deep, the first of them a date."""
        parts = PurePosixPath(path).parts
        dated = is_day(parts[0])
        if dated and is_hint(path, 3):
            return None
        if (why := stranger_by_name(path)) is not None:
            return why
        if len(parts) > 1 and not dated:
            return "the folder's name is no date: yyyymmdd is expected"
        places = {1: "a picture outside every day's folder", 2: "a picture outside every slide's folder", 3: None}
        return places.get(len(parts), "it lies deeper than the slide's folder")
