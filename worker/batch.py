"""`worker classify`: existing slides, one after the other, without broker, daemon or database."""

import csv
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

from smear.bundle import Bundle
from smear.cells import CELL_TYPES
from smear.geometry import Profile
from smear.intervals import load_intervals
from smear.layout import Layout, is_blood
from smear.listing import slide_name, unused_name
from smear.plain import PlainError
from smear.report import slide_object
from smear.settings import Settings
from smear.shipped import shipped_bundle
from smear.slide_facts import read_facts
from smear.spreadsheet import inert
from worker.classify import BadAnswer, SlideResult, classify
from worker.engines.face import Engine
from worker.memory import OutOfMemory, shortage_named
from worker.reading import SlideChanging, SlideReader, SourceAway


class NoSlides(PlainError):
    """A path that holds no slide; its text says so."""


@dataclass(frozen=True)
class SlidePath:
    """A slide to classify: its folder is `root/folder`."""

    slide_id: str
    root: Path
    folder: str


def find_slides(paths: Iterable[Path], layout: Layout) -> list[SlidePath]:
    """The slides that paths stand for: each is a slide's folder or a folder of such. Raises NoSlides."""
    found: list[SlidePath] = []
    for given in paths:
        path = Path(os.path.realpath(given))  # as `resolve`, which fails in its own way where links go round
        try:
            # A stray picture in a folder of slides must not hide them: then both are meant.
            here = [SlidePath(slide_name(path.name), path.parent, path.name)] if layout.is_slide(path) else []
            inside = here + [
                SlidePath(slide_id, path, folder)
                for slide_id, folder in _named_once(layout, sorted(layout.slides(path), key=lambda s: s[1]))
                if _may_be_slide(layout, path / folder)
            ]
            if not inside:
                # A day's folder of layout `dated`: its slides are told from the folder above.
                inside = [
                    SlidePath(slide_id, path.parent, folder)
                    for slide_id, folder in sorted(layout.slides(path.parent))
                    if folder.startswith(f"{path.name}/")
                ]
        except OSError as error:
            raise NoSlides(f"{given}: {error.strerror}") from None
        if not inside:
            raise NoSlides(f"{given}: no slide there in layout {layout.name}")
        found += inside
    return found


def _named_once(layout: Layout, slides: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    names: set[str] = set()
    for slide_id, folder in slides:
        name = unused_name(layout, slide_id, folder, names)
        names.add(name)
        yield name, folder


def _may_be_slide(layout: Layout, folder: Path) -> bool:
    try:
        return layout.is_slide(folder) or not folder.exists()  # of layout `flat` only a name is known
    except OSError:
        return True  # it will be named as the slide that could not be read; the others go on


def bundle_folder(settings: Settings) -> Path:
    """The bundle that serves; where nothing was set up yet, the shipped one. Raises StoreUnavailable."""
    if settings.database_url or (settings.var / "wnet.sqlite").exists():
        # Only where there is a database is its library needed, which takes half of the time to start.
        from smear.store import Store, StoreUnavailable, schema_problem  # noqa: PLC0415 - see above
        from worker.models import serving  # noqa: PLC0415 - see above

        try:
            store = Store(settings.database)
            try:
                if schema_problem(store) is None and (named := serving(store)):
                    return settings.models_folder / named[1]
            finally:
                store.close()
        except StoreUnavailable as error:
            raise StoreUnavailable(f"which bundle serves cannot be asked ({error}): name one with --bundle") from None
    return shipped_bundle()


class Batch:
    """Classifies slide after slide with one engine."""

    def __init__(
        self, settings: Settings, bundle: Bundle, engine: Engine, reader: SlideReader, layout: Layout, geometry: Profile
    ) -> None:
        self._settings, self._bundle, self._engine, self._reader = settings, bundle, engine, reader
        self._layout, self._geometry = layout, geometry
        self._intervals = load_intervals(settings.intervals)

    def one(self, slide: SlidePath, progress: Callable[[], object]) -> tuple[dict[str, Any], SlideResult | None]:
        """The slide's JSON object, and its cells where it came to any."""
        told: dict[str, Any] = {"source": "default", "slide_id": slide.slide_id, "revision": 1}
        if not is_blood(slide.slide_id, self._settings.not_blood):
            why = [{"file": "", "reason": "not a blood smear: no differential"}]
            return slide_object(**told, state="listed", problems=why, bundle=self._bundle.bundle_id), None
        try:
            listing = self._layout.look(slide.root, slide.folder)
            facts = read_facts(slide.root, listing)
            chunks = self._reader.read(slide.root, listing.folder, listing, self._geometry, progress=progress)
            with shortage_named():
                result = classify(
                    chunks,
                    self._bundle,
                    self._engine,
                    min_cells=self._settings.min_cells,
                    low_count_cells=self._settings.low_count_cells,
                    review_below=self._settings.review_below,
                )
        except (SourceAway, SlideChanging, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            why = [{"file": "", "reason": f"cannot be read: {reason}"}]
            return slide_object(**told, state="failed", problems=why, bundle=self._bundle.bundle_id), None
        except (BadAnswer, OutOfMemory) as error:
            why = [{"file": "", "reason": str(error)}]
            return slide_object(**told, state="failed", problems=why, bundle=self._bundle.bundle_id), None
        return result.to_object(**told, intervals=self._intervals, facts=facts), result


CELL_COLUMNS: Final = (
    "slide_id", "file", "sha256", "state", "type", *(f"p_{cell_type}" for cell_type in CELL_TYPES),
    "outside_score", "problem",
)  # fmt: skip


def cell_rows(slide_id: str, result: SlideResult) -> Iterator[dict[str, Any]]:
    """A row of CELL_COLUMNS for every picture file of a slide, safe to open in a spreadsheet."""
    for picture, cell in result.files:
        p = cell.probabilities or (None,) * len(CELL_TYPES)
        row = {
            "slide_id": slide_id,
            "file": picture.path,
            "sha256": cell.sha256,
            "state": cell.state,
            "type": cell.cell_type,
            **{f"p_{cell_type}": p[i] for i, cell_type in enumerate(CELL_TYPES)},
            "outside_score": cell.outside_score,
            "problem": cell.problem,
        }
        yield inert(row)


def cell_writer(file: TextIO) -> "csv.DictWriter[str]":
    """A CSV of CELL_COLUMNS, its header written."""
    writer = csv.DictWriter(file, CELL_COLUMNS)
    writer.writeheader()
    return writer
