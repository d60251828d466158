"""The files of a source that no slide takes, recorded once they stand still, so that people see what is missing."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import delete, update
from sqlmodel import col, select

from smear.files import Stat, raw, shown
from smear.listing import cut
from smear.store import Store
from smear.tables import IgnoredFileRow, SourceRow, utc_now
from smear.upsert import insert_missing
from worker.watch.strays import EMPTY, MOST_NAMED, NO_PICTURE, Ignored


log: Final = structlog.get_logger()

#: Columns of the table, and what a transaction takes at a time.
_MAX_PATH: Final = 512
_BATCH: Final = 200


@dataclass
class _Candidate:
    """A file that may only be passing: what it looked like, and when it has stood still for long enough."""

    area: str
    reason: str
    stat: Stat | None
    due: float


class IgnoredFiles:
    """The ignored files of one source, in memory and in the table. A file counts once it stood still for a while.

    An `area` is what is listed in one go: a slide's folder, or with "" all that lies outside them.
    """

    def __init__(self, store: Store, row: int, root: Path, settle_seconds: float, empty_seconds: float) -> None:
        self._store, self._row, self._root = store, row, root
        self._settle_seconds, self._empty_seconds = settle_seconds, empty_seconds
        self._areas: dict[str, set[str]] | None = None
        self._recorded: dict[str, str] = {}
        self._waiting: dict[str, _Candidate] = {}
        self._beyond: dict[str, int] = {}
        self._add: dict[str, _Candidate] = {}
        self._remove: set[str] = set()
        self._total: int | None = None

    def found(self, area: str, files: Iterable[Ignored], now: float) -> None:
        """All that is ignored in an area now."""
        areas = self._loaded()
        there = dict(files)
        if not there and area not in areas and area not in self._beyond:
            return
        for path in areas.get(area, set()) - there.keys():
            self._drop(path)
        new = [path for path in there if path not in self._recorded and path not in self._waiting]
        room = max(MOST_NAMED - len(self._recorded) - len(self._waiting), 0)
        for path in new[:room]:
            wait = self._settle_seconds if there[path] not in {EMPTY, NO_PICTURE} else self._empty_seconds
            self._waiting[path] = _Candidate(area, there[path], self._stat(path), now + wait)
            areas.setdefault(area, set()).add(path)
        self._beyond.pop(area, None)
        if len(new) > room:
            self._beyond[area] = len(new) - room

    def step(self, now: float) -> None:
        """Record what has stood still for long enough, forget what is gone. Raises StoreUnavailable."""
        for path in [path for path, one in self._waiting.items() if now >= one.due][:_BATCH]:
            candidate = self._waiting[path]
            stat = self._stat(path)
            if stat is None:
                self._drop(path)
            elif stat != candidate.stat:
                candidate.stat, candidate.due = stat, now + self._settle_seconds
            else:
                del self._waiting[path]
                self._recorded[path] = candidate.area
                self._add[path] = candidate
                self._remove.discard(path)
        if self._add or self._remove or (self._total is not None and self._total != self._now()):
            self._write()

    def recheck(self) -> None:
        """Forget recorded files that are gone with their folders, which no look names any more. One look at each."""
        self._loaded()
        for path in list(self._recorded):
            if len(shown(path)) <= _MAX_PATH and self._stat(path) is None:
                self._drop(path)

    def _now(self) -> int:
        return len(self._recorded) + sum(self._beyond.values())

    def _loaded(self) -> dict[str, set[str]]:
        if self._areas is None:
            with self._store.read() as session:
                rows = session.exec(select(IgnoredFileRow).where(IgnoredFileRow.source == self._row)).all()
                self._total = session.get_one(SourceRow, self._row).ignored
            self._recorded = {raw(row.path): raw(row.area) for row in rows}
            self._areas = {}
            for path, area in self._recorded.items():
                self._areas.setdefault(area, set()).add(path)
        return self._areas

    def _drop(self, path: str) -> None:
        candidate = self._waiting.pop(path, None)
        area = self._recorded.pop(path, None)
        if area is not None:
            self._remove.add(path)
            self._add.pop(path, None)
        area = area if area is not None else candidate.area if candidate is not None else None
        areas = self._loaded()
        if area is not None and area in areas:
            areas[area].discard(path)
            if not areas[area]:
                del areas[area]

    def _stat(self, path: str) -> Stat | None:
        try:
            return Stat.of(os.lstat(self._root / path))
        except OSError:
            return None

    def _write(self) -> None:
        total, first_seen = self._now(), utc_now()
        rows = [
            {"source": self._row, "path": cut(shown(path), _MAX_PATH), "area": shown(one.area), "reason": one.reason,
             "first_seen_at": first_seen}
            for path, one in self._add.items()
        ]  # fmt: skip
        with self._store.write() as session:
            gone = [cut(shown(path), _MAX_PATH) for path in self._remove]
            for start in range(0, len(gone), _BATCH):
                some = col(IgnoredFileRow.path).in_(gone[start : start + _BATCH])
                session.execute(delete(IgnoredFileRow).where(col(IgnoredFileRow.source) == self._row, some))
            insert_missing(session, IgnoredFileRow, rows, unique=("source", "path"))
            session.execute(update(SourceRow).where(col(SourceRow.id) == self._row).values(ignored=total))
        self._add, self._remove = {}, set()
        if total != self._total:
            log.info("files ignored", source=self._row, files=total)
        self._total = total
