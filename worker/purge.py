"""Retention: slides that finished long ago and whose folder is gone are forgotten; what was signed never is.

A slide whose folder still lies in the drop folder stays too: forgotten, it would be taken for a new one. So the
database holds what the drop folder holds, and of the rest the last days.
"""

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlmodel import col, exists, func, select

from smear.audit import CONSOLE, append
from smear.audit_replay import PURGED_SLIDES
from smear.files import raw
from smear.layout import layout
from smear.settings import Settings
from smear.store import Store
from smear.tables import CellRow, RevisionRow, SlideRow, SourceRow, key, utc_now
from worker.forgetting import must_stay, remove


#: Slides in one transaction: others write in between.
BATCH: Final = 100
#: Ended, and nobody has put a name to it.
_FORGETTABLE: Final = ("classified", "failed", "listed")


@dataclass
class Purged:
    """What went, or would go; what stays because its folder is there; which sources were not there to be asked."""

    slides: int = 0
    cells: int = 0
    kept: int = 0
    away: list[str] = field(default_factory=list)
    dry_run: bool = False

    def to_object(self) -> dict[str, Any]:
        """As `worker purge --json` prints it."""
        return asdict(self)

    def sentence(self) -> str:
        """For people."""
        would = "would be forgotten" if self.dry_run else "forgotten"
        stay = f"; {self.kept} stay, for their folder is still there" if self.kept else ""
        return f"{self.slides} slides with {self.cells} cells {would}{stay}"


def is_gone(root: Path | None, folder: str, layout_name: str = "slides") -> bool:
    """Whether nothing of a slide is certainly there any more: under a root that is there and not empty.

    An unmounted share leaves an empty folder behind, and a source that this machine does not know says nothing.
    """
    if root is None or not _is_there(root):
        return False
    try:
        return not layout(layout_name).has(root, folder)
    except OSError:
        return False


def _is_there(root: Path) -> bool:
    try:
        with os.scandir(root) as entries:
            return next(entries, None) is not None
    except OSError:
        return False


def purge(store: Store, settings: Settings, older_than_days: float, *, dry_run: bool) -> Purged:
    """Forget what may be forgotten, a batch of slides at a time; raises StoreUnavailable."""
    before = utc_now() - timedelta(days=older_than_days)
    sources = {source.name: source for source in settings.sources}
    done = Purged(dry_run=dry_run)
    away: set[str] = set()
    for batch in _old_slides(store, before):
        gone: list[int] = []
        for slide, source, folder in batch:
            there = sources.get(source)
            if there is None or not _is_there(there.root):
                away.add(source)
            elif is_gone(there.root, folder, there.layout):
                gone.append(slide)
            else:
                done.kept += 1
        if gone:
            slides, cells = _forget(store, gone, before, dry_run=dry_run)
            done.slides += slides
            done.cells += cells
    done.away = sorted(away)
    return done


def _old_slides(store: Store, before: datetime) -> Iterator[list[tuple[int, str, str]]]:
    """(row, source, folder) of slides all of whose revisions ended before that time, BATCH at a time."""
    last = 0
    while True:
        with store.read() as session:
            rows = session.exec(
                select(SlideRow.id, SourceRow.name, SlideRow.folder)
                .join(SourceRow, col(SourceRow.id) == col(SlideRow.source_id))
                .where(col(SlideRow.id) > last, ~_must_stay(before))
                .order_by(col(SlideRow.id))
                .limit(BATCH)
            ).all()
        if not rows:
            return
        batch = [(key(slide), source, raw(folder)) for slide, source, folder in rows]
        last = batch[-1][0]
        yield batch


def _must_stay(before: datetime) -> Any:
    """The condition under which a slide has a young or unfinished revision, or bears somebody's name or remark."""
    young = col(RevisionRow.finished_at).is_(None) | (col(RevisionRow.finished_at) >= before)
    of_somebody = exists().where(
        col(RevisionRow.slide) == col(SlideRow.id), young | col(RevisionRow.state).not_in(_FORGETTABLE)
    )
    return of_somebody | must_stay()


def _forget(store: Store, slides: list[int], before: datetime, *, dry_run: bool) -> tuple[int, int]:
    """Delete slides with all that hangs on them; how many slides and cells that were."""
    with store.write() as session:
        # Asked again under the lock: one may have been reopened, or signed, a moment ago.
        still = (
            select(SlideRow.id)
            .where(col(SlideRow.id).in_(slides), ~_must_stay(before))
            .order_by(col(SlideRow.id))
            .with_for_update(of=SlideRow)
        )
        slides = [key(slide) for slide in session.exec(still)]
        cells = int(session.exec(select(func.count()).where(col(CellRow.slide).in_(slides))).one())
        if slides and not dry_run:
            remove(session, slides)
            append(session, CONSOLE, PURGED_SLIDES, after={"slides": slides, "cells": cells},
                   reason=f"finished before {before:%Y-%m-%d}, and gone from the drop folder")  # fmt: skip
        return len(slides), cells
