"""`worker watch --dry-run`: which slides a source shows, which files match nothing, and why. No database is opened."""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smear.completeness import Completeness
from smear.files import shown
from smear.layout import Layout, is_blood, layout
from smear.layouts.manifest import picture_files
from smear.listing import unused_name
from smear.settings import Settings
from smear.slide_facts import read_facts
from smear.sources import Source
from worker.watch.strays import LINK


@dataclass(frozen=True)
class SeenSlide:
    """A slide as the watcher would see it: its folder and pictures, and what is wrong with it at a glance."""

    source: str
    slide_id: str
    folder: str
    pictures: int
    complete: bool
    sidecar: str | None
    blood: bool
    problems: list[dict[str, str]] = field(default_factory=list)
    expected_cells: int | None = None

    def to_object(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return dict(vars(self))


@dataclass(frozen=True)
class Stranger:
    """A file or folder that belongs to no slide, or a source that cannot be read (`file` is then its own)."""

    source: str
    file: str
    reason: str
    away: bool = False

    def to_object(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {"source": self.source, "file": self.file, "reason": self.reason}


def dry_run(settings: Settings) -> Iterator[SeenSlide | Stranger]:
    """Every source's slides, then every file of it that matches nothing."""
    for source in settings.sources:
        how = layout(source.layout)
        try:
            folders = set[str]()
            for seen, folder in _slides(source, how, settings.not_blood):
                folders.add(folder)
                yield seen
            yield from _strangers(source, how, folders)
        except OSError as error:
            yield Stranger(source.name, str(source.root), f"cannot be read: {error.strerror}", away=True)


def _slides(source: Source, how: Layout, not_blood: str) -> Iterator[tuple[SeenSlide, str]]:
    names = set[str]()
    for plain_id, folder in sorted(how.slides(source.root), key=lambda slide: slide[1]):
        slide_id = unused_name(how, plain_id, folder, names)
        names.add(slide_id)
        blood = is_blood(slide_id, not_blood)
        try:
            listing = how.look(source.root, folder)
        except OSError as error:
            problem = {"file": "", "reason": f"cannot be read: {error.strerror}"}
            yield SeenSlide(source.name, slide_id, shown(folder), 0, False, None, blood, [problem]), folder
            continue
        problems = [{"file": shown(p.path), "reason": p.problem} for p in listing.pictures if p.problem is not None]
        facts = read_facts(source.root, listing)
        files = picture_files((p.path, p.problem) for p in listing.pictures)
        if not listing.pictures:
            problems = [{"file": "", "reason": "no pictures: no slide yet"}]
        elif (incomplete := Completeness(facts.expected_cells, files).words) is not None:
            problems.append({"file": "", "reason": incomplete})
        problems += facts.problems
        sidecar = None if listing.sidecar_name is None else shown(listing.sidecar_name)
        yield (
            SeenSlide(
                source.name,
                slide_id,
                shown(folder),
                len(listing.pictures),
                listing.complete_marker,
                sidecar,
                blood,
                problems,
                facts.expected_cells,
            ),
            folder,
        )


def _strangers(source: Source, how: Layout, folders: set[str]) -> Iterator[Stranger]:
    root = os.fspath(source.root)
    not_entered: list[OSError] = []

    def stranger(path: str, reason: str) -> Stranger:
        return Stranger(source.name, shown(path), reason)

    # `walk` follows no links.
    for here, inner, files in os.walk(root, onerror=not_entered.append):
        inside = os.path.relpath(here, root)
        for name in sorted(inner):
            path = os.path.normpath(f"{inside}/{name}")
            if (why := _why_not_entered(Path(here, name))) is not None:
                yield stranger(path, why)
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in sorted(files):
            path = os.path.normpath(f"{inside}/{name}")
            if (why := _why(how, folders, path, Path(here, name))) is not None:
                yield stranger(path, why)
    for error in not_entered:
        if error.filename == root:
            raise error
        path = os.path.relpath(error.filename, root)
        if path not in folders:  # those are named among the slides
            yield stranger(path, f"cannot be read: {error.strerror}")


def _why(how: Layout, folders: set[str], path: str, file: Path) -> str | None:
    if (why := how.stranger(path)) is not None:
        return why
    slide = how.slide_of(path)
    if slide is None or slide[1] not in folders:
        return "no picture of its slide is there"
    return _kind(file, stat.S_ISREG)


def _why_not_entered(folder: Path) -> str | None:
    if folder.name.startswith("."):
        return "its name begins with a dot: hidden"
    return _kind(folder, stat.S_ISDIR)


def _kind(path: Path, wanted: Callable[[int], bool]) -> str | None:
    """Why something is not of the wanted kind, in words; None where it is, or is gone."""
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if stat.S_ISLNK(kind):
        return LINK
    return None if wanted(kind) else "not a plain file"
