"""Pictures that WNET_PICTURES lacks, filled in while the source still has them; and how many are missing, in rows."""

from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any, Final

import structlog
from sqlalchemy import update
from sqlmodel import col, select

from smear.files import FileChanging, open_folder, raw, read_file, sha256
from smear.layout import Layout
from smear.picture_store import PictureStore
from smear.pictures import UnreadablePicture
from smear.review_tables import AuditRow
from smear.settings import Settings
from smear.store import Store
from smear.tables import CellRow, PictureRow, RevisionRow, SlideRow, is_latest_revision, key, utc_now
from worker.keeping import folder_problem


log: Final = structlog.get_logger()

#: Slides that finished within so long are looked after: analysers keep their exports for some days.
RECENT: Final = timedelta(days=7)
#: Slides in one step, and those of a round that begins with every scan.
SLIDES_A_STEP, SLIDES_A_ROUND = 2, 20
_FINISHED: Final = ("classified", "reviewed", "signed", "failed")


class KeptPictures:
    """Looks after the kept pictures of one source's recent slides, a few at a time.

    First those of which some are known to be missing, then the others in turn: of each two pictures are asked for, and
    where one is gone, all. A slide whose pictures a person had deleted stays without.
    """

    def __init__(self, store: Store, source: int, root: Path, how: Layout, settings: Settings) -> None:
        self._store, self._source, self._root, self._how, self._settings = store, source, root, how, settings
        self._pictures = PictureStore(settings.pictures_folder)
        # What is purged by its age must not come back: nothing is looked after for as long as it is kept.
        days = timedelta(days=settings.keep_pictures_days / 2)
        self._recent = min(RECENT, days)
        self._due = float("-inf")
        self._left: list[tuple[int, int, str]] = []
        self._after = {True: 0, False: 0}

    def step(self, now: float) -> None:
        """Look after some more slides. Raises StoreUnavailable."""
        if not self._left:
            if now < self._due:
                return
            self._due = now + self._settings.scan_seconds
            if self._settings.keep_pictures_days <= 0 or folder_problem(self._settings) is not None:
                return
            self._left = [*self._next(lacking=True), *self._next(lacking=False)]
        some, self._left = self._left[:SLIDES_A_STEP], self._left[SLIDES_A_STEP:]
        for slide, revision, folder in some:
            try:
                self._look_after(slide, revision, raw(folder))
            except OSError as error:
                log.warning("pictures cannot be filled in just now", revision=revision, reason=error.strerror)
                self._left = []
                return

    def _next(self, *, lacking: bool) -> list[tuple[int, int, str]]:
        """(slide, revision, folder) of the next recent slides, round and round."""
        number = col(RevisionRow.not_kept)
        query = (
            select(SlideRow.id, RevisionRow.id, SlideRow.folder)
            .join(RevisionRow, col(RevisionRow.slide) == col(SlideRow.id))
            .where(SlideRow.source_id == self._source, col(RevisionRow.finished_at) > utc_now() - self._recent)
            .where(col(RevisionRow.state).in_(_FINISHED), is_latest_revision())
            .where(number > 0 if lacking else number == 0, col(RevisionRow.id) > self._after[lacking])
            .order_by(col(RevisionRow.id))
            .limit(SLIDES_A_ROUND)
        )
        with self._store.read() as session:
            rows = [(key(slide), key(revision), folder) for slide, revision, folder in session.exec(query)]
        self._after[lacking] = rows[-1][1] if len(rows) == SLIDES_A_ROUND else 0
        return rows

    def _look_after(self, slide: int, revision: int, folder: str) -> None:
        """Fill in what is missing of one slide; raises OSError where the folder of kept pictures refuses it."""
        with self._store.read() as session:
            known = session.get_one(RevisionRow, revision).not_kept
            rows = session.exec(
                select(PictureRow.path, CellRow.sha256)
                .join(CellRow, col(CellRow.id) == col(PictureRow.cell))
                .where(PictureRow.revision == revision)
                .order_by(col(PictureRow.path))
            ).all()
            purged: Any = select(AuditRow.number).where(AuditRow.slide == slide, AuditRow.action == "purge pictures")
            deleted = session.exec(purged.limit(1)).first() is not None
        by_digest = {digest: path for path, digest in rows}
        ends = list(by_digest)[:1] + list(by_digest)[-1:]
        if deleted or (not known and all(self._pictures.has(digest) for digest in ends)):
            missing: list[str] = []
        else:
            missing = [digest for digest in by_digest if not self._pictures.has(digest)]
        filled = self._fill(folder, {by_digest[digest]: digest for digest in missing})
        if filled:
            log.info("pictures filled in", revision=revision, pictures=filled)
        if (left := len(missing) - filled) != known:
            with self._store.write() as session:
                session.execute(update(RevisionRow).where(col(RevisionRow.id) == revision).values(not_kept=left))

    def _fill(self, folder: str, wanted: dict[str, str]) -> int:
        """Keep pictures from the source, by path and SHA-256; how many it still had."""
        if not wanted:
            return 0
        try:
            base = self._how.look(self._root, folder).folder
        except OSError:
            return 0
        filled = 0
        for path, digest in wanted.items():
            where = PurePosixPath(base) / raw(path)
            try:
                with open_folder(self._root, str(where.parent)) as descriptor:
                    data, _ = read_file(descriptor, where.name)
            except (OSError, UnreadablePicture, FileChanging):
                continue
            if sha256(data) == digest:
                self._pictures.put(digest, data)
                filled += 1
        return filled
