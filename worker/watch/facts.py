"""Sidecars of finished slides under watch: added, corrected or removed, they are taken up within a scan."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Final

import structlog
from sqlmodel import col, select

from smear.files import Stat, raw, shown
from smear.intervals import load_intervals
from smear.layout import Listing
from smear.settings import Settings
from smear.slide_facts import CHANGING, facts_stat, read_facts, sidecar_stat
from smear.store import Store
from smear.tables import RevisionRow, SlideRow, is_latest_revision, utc_now
from worker.arrivals import Known
from worker.sidecars import take_up
from worker.watch.changes import Recorded


log: Final = structlog.get_logger()

#: A sidecar rewritten in place changes no folder's time: those of slides that finished within so long are looked at
#: with every scan, at most so many; the others in the hourly round.
YOUNG: Final = timedelta(days=1)
MOST_YOUNG: Final = 5000
_FINISHED: Final = ("classified", "reviewed", "signed", "failed")


class FactsWatch:
    """Compares sidecars (and manifests) of finished slides with what the database has of them."""

    def __init__(self, store: Store, root: Path, settings: Settings) -> None:
        self._store, self._root, self._settings = store, root, settings
        self._intervals = load_intervals(settings.intervals)
        self._pending: dict[str, tuple[str | None, float]] = {}

    def forget(self, folder: str) -> None:
        """The slide is followed no longer."""
        self._pending.pop(folder, None)

    def waits_until(
        self, folder: str, known: Known, listing: Listing, before: dict[str, Recorded], now: float
    ) -> float | None:
        """Take up the sidecar of a finished slide once it stands still; until when, None where it is done.

        A sidecar that is gone counts only while every picture is there: analysers purge what they have exported, and
        what is known of a slide stays.
        """
        stat = facts_stat(listing)
        if stat == known.facts_stat:
            return None
        removed = listing.sidecar is None and known.facts_stat is not None
        if removed and not before.keys() <= {shown(picture.path) for picture in listing.pictures}:
            return None
        first, since = self._pending.setdefault(folder, (stat, now))
        if first != stat:
            self._pending[folder], since = (stat, now), now
        still = self._settings.settle_seconds if removed else self._settings.file_settle_seconds
        if now - since < still:
            return since + still
        del self._pending[folder]
        if take_up(self._store, known.revision, read_facts(self._root, listing), self._intervals):
            log.info("sidecar changed", revision=known.revision)
        return None

    def rewritten(self, source: int) -> list[tuple[str, str]]:
        """(slide_id, folder) of young finished slides whose sidecar is not the one that was read: a look at each."""
        since = utc_now() - YOUNG
        query = (
            select(SlideRow.slide_id, SlideRow.folder, RevisionRow.sidecar_stat)
            .join(RevisionRow, col(RevisionRow.slide) == col(SlideRow.id))
            .where(SlideRow.source_id == source, col(RevisionRow.finished_at) > since)
            .where(col(RevisionRow.state).in_(_FINISHED), is_latest_revision())
            .where(col(RevisionRow.sidecar_stat).is_not(None))
            .order_by(col(RevisionRow.finished_at).desc())
            .limit(MOST_YOUNG)
        )
        with self._store.read() as session:
            rows = session.exec(query).all()
        return [(slide_id, raw(folder)) for slide_id, folder, stat in rows if stat is not None and self._differs(stat)]

    def _differs(self, recorded: str) -> bool:
        if recorded == CHANGING:
            return True
        told = recorded.rpartition("|")[2]
        path = told.split(":", 4)[4:]
        if not path:
            return False  # a manifest alone: its layout compares that with every scan
        try:
            found = os.stat(self._root / raw(path[0]), follow_symlinks=False)  # noqa: PTH116 - as pathlib, one call
        except OSError:
            return False  # gone with its folder's time changed, or away with its source
        return sidecar_stat(Stat.of(found), raw(path[0])) != told
