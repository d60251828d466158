"""Old slides under another bundle, beside what was reported of them. Nothing is stored: what was reported stays."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any, Final

from sqlmodel import col, select

from smear.bundle import Bundle
from smear.files import FileChanging, Stat, open_folder, read_file, sha256
from smear.geometry import Profile, prepare, profile
from smear.picture_store import NotKept, PictureStore
from smear.pictures import MisfitPicture, UnreadablePicture
from smear.plain import PlainError
from smear.review_tables import LabelRow
from smear.settings import Settings
from smear.store import Store
from smear.tables import CellRow, PictureRow, PredictionRow, key
from worker import quarantine
from worker.classify import BadAnswer, SlideResult, classify
from worker.engines.face import Engine
from worker.reading import CHUNK, QUARANTINED, ReadPicture
from worker.results import Result, results


#: Only of such revisions something was reported.
_FINISHED: Final = frozenset({"classified", "reviewed", "signed"})


class CannotRerun(PlainError):
    """An engine that gives no answers to use; its text says so."""


class Rerun:
    """Classifies finished slides again, each from the very pictures that were reported on: by their content."""

    def __init__(self, store: Store, settings: Settings, bundle: Bundle, engine: Engine) -> None:
        self._store, self._settings, self._bundle, self._engine = store, settings, bundle, engine
        self._kept = PictureStore(settings.pictures_folder)
        self._roots = {source.name: source.root for source in settings.sources}
        self._quarantined = quarantine.suspects(store).quarantined

    def slides(self, names: Iterable[str], on_same: Callable[[str], object]) -> Iterator[dict[str, Any]]:
        """One JSON object a finished slide of those names, of all where none is given. Raises CannotRerun.

        A slide that this very bundle reported would be compared with itself: `on_same` gets its name instead.
        """
        wanted: list[str | None] = list(names) or [None]
        for name in wanted:
            for result in results(self._store, slide_id=name):
                if result.revision.state not in _FINISHED or result.differential is None:
                    continue
                if result.to_object()["bundle"] == self._bundle.bundle_id:
                    on_same(result.slide.slide_id)
                else:
                    yield self.one(result)

    def one(self, old: Result) -> dict[str, Any]:
        """What was reported, what the bundle says, how many cells it calls otherwise, how many pictures are gone.

        `rerun` is null where no picture is left. A cell that a person labelled was reported as that.
        """
        rows = self._rows(old)
        try:
            result = classify(
                self._chunks(old, rows), self._bundle, self._engine, min_cells=self._settings.min_cells,
                low_count_cells=self._settings.low_count_cells, review_below=self._settings.review_below,
            )  # fmt: skip
        except BadAnswer as error:
            raise CannotRerun(str(error)) from None
        reported = self._reported(old)
        told: dict[str, Any] = {
            "source": old.source.name,
            "slide_id": old.slide.slide_id,
            "revision": old.revision.number,
            "state": old.revision.state,
            "reported": reported,
            "rerun": None,
            "called_otherwise": None,
            "pictures_gone": len(rows) - len(result.files),
        }
        if not result.files:
            return told
        again = result.to_object(source=old.source.name, slide_id=old.slide.slide_id)
        names = ("bundle", "backend", "cells", "counts", "percent", "ci95")
        return told | {
            "rerun": {name: again[name] for name in names},
            "called_otherwise": self._otherwise(old, result, labelled=reported["by"] == "people"),
        }

    def _reported(self, old: Result) -> dict[str, Any]:
        """What people signed, where they did, else the model's."""
        payload = old.to_object()
        by = "people" if payload["reported_by"] == "signature" else "model"
        return {"by": by} | {name: payload[name] for name in ("bundle", "counts", "percent", "ci95")}

    def _otherwise(self, old: Result, result: SlideResult, *, labelled: bool) -> int:
        """How many cells the bundle calls otherwise than was reported."""
        assert old.differential is not None
        with self._store.read() as session:
            rows = session.exec(
                select(CellRow.sha256, PredictionRow, LabelRow.label)
                .join(PredictionRow, col(PredictionRow.cell) == col(CellRow.id))
                .join(LabelRow, col(LabelRow.cell) == col(CellRow.id), isouter=True)
                .where(CellRow.slide == old.slide.id, PredictionRow.bundle == old.differential.bundle)
            ).all()
        before = {sha: (label if labelled else None) or _called(row.state, row.cell_type) for sha, row, label in rows}
        now = {cell.sha256: _called(cell.state, cell.cell_type) for cell in result.cells if cell.sha256}
        return sum(before[sha] != said for sha, said in now.items() if sha in before)

    def _rows(self, old: Result) -> list[tuple[PictureRow, str | None]]:
        """The revision's files, each with its content's SHA-256 where it gave any bytes."""
        with self._store.read() as session:
            rows = session.exec(
                select(PictureRow, CellRow.sha256)
                .join(CellRow, col(CellRow.id) == col(PictureRow.cell), isouter=True)
                .where(PictureRow.revision == key(old.revision.id))
                .order_by(col(PictureRow.path))
            ).all()
        return [(row, digest) for row, digest in rows]

    def _chunks(self, old: Result, rows: list[tuple[PictureRow, str | None]]) -> Iterator[list[ReadPicture]]:
        """Those that are still to be had, as they were read then."""
        how = profile(old.source.geometry)
        for at in range(0, len(rows), CHUNK):
            read = (self._picture(old, row, digest, how) for row, digest in rows[at : at + CHUNK])
            yield [picture for picture in read if picture is not None]

    def _picture(self, old: Result, row: PictureRow, digest: str | None, how: Profile) -> ReadPicture | None:
        stat = Stat(row.size, row.mtime_ns, row.ctime_ns, int(row.inode))
        if digest is None or digest in self._quarantined:
            problem = row.problem if digest is None else QUARANTINED
            return ReadPicture(row.path, stat, row.analyser_class, digest, None, "unreadable", problem)
        data = self._bytes(old, row.path, digest)
        if data is None:
            return None
        try:
            return ReadPicture(row.path, stat, row.analyser_class, digest, prepare(data, how))
        except MisfitPicture as error:
            return ReadPicture(row.path, stat, row.analyser_class, digest, None, "misfit", str(error))
        except UnreadablePicture as error:
            return ReadPicture(row.path, stat, row.analyser_class, digest, None, "unreadable", str(error))

    def _bytes(self, old: Result, path: str, digest: str) -> bytes | None:
        """The content as it is kept, else as it still lies in the source; None where neither has it any more."""
        try:
            return self._kept.get(digest)
        except NotKept:
            root = self._roots.get(old.source.name)
        if root is None:
            return None
        where = PurePosixPath(old.slide.folder) / path
        try:
            with open_folder(root, str(where.parent)) as folder:
                data, _ = read_file(folder, where.name)
        except (OSError, UnreadablePicture, FileChanging):
            return None
        return data if sha256(data) == digest else None


def _called(state: str, cell_type: str | None) -> str | None:
    return cell_type if state == "classified" else state
