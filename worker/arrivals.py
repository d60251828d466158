"""What a watcher writes: sources, slides and their revisions, from first sight until they are settled.

    arriving -> queued | listed | failed

What becomes of a queued revision is in `worker.ledger`.
"""

import hashlib
import os
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from smear.files import raw, shown
from smear.listing import Layout
from smear.sources import Source
from smear.store import RowRejected, Store
from smear.tables import RevisionRow, RevisionState, SlideRow, SourceRow, is_latest_revision, key, utc_now
from worker import lanes
from worker.forgetting import must_stay, remove
from worker.ledger import change_revision


@dataclass(frozen=True)
class Known:
    """A slide as the database knows it: its row, and its latest revision."""

    slide: int
    revision: int
    number: int
    state: RevisionState
    signature: str | None
    finished_at: datetime | None
    folder: str = ""
    facts_stat: str | None = None


def register_source(store: Store, source: Source) -> int:
    """The row number of a source, made or brought up to date."""
    with store.write() as session:
        row = session.exec(select(SourceRow).where(SourceRow.name == source.name)).one_or_none()
        if row is None:
            row = SourceRow(name=source.name, layout=source.layout, geometry=source.geometry)
        waiting_turn = row.priority != source.priority
        row.layout, row.geometry, row.priority = source.layout, source.geometry, source.priority
        session.add(row)
        session.flush()
        if waiting_turn:
            slides = select(SlideRow.id).where(SlideRow.source_id == row.id)
            waiting = (col(RevisionRow.state) == "queued", col(RevisionRow.slide).in_(slides))
            session.execute(update(RevisionRow).where(*waiting).values(rank=lanes.rank(source.priority)))
        return key(row.id)


def known_slides(store: Store, source: int) -> dict[str, Known]:
    """Every slide of a source with its latest revision, by slide_id."""
    with store.read() as session:
        return dict(_latest(session, SlideRow.source_id == source))


def known_of(store: Store, source: int, slide_ids: list[str]) -> dict[str, Known]:
    """Those of these slides that were seen before, with their latest revisions; some hundreds at a time."""
    try:
        with store.read() as session:
            return dict(_latest(session, (col(SlideRow.source_id) == source) & col(SlideRow.slide_id).in_(slide_ids)))
    except RowRejected:
        if len(slide_ids) == 1:
            return {}  # the database cannot hold the name, and so does not know it
    # One name stops no other.
    return {name: known for one in slide_ids for name, known in known_of(store, source, [one]).items()}


def known_slide(store: Store, source: int, slide_id: str) -> Known | None:
    """One slide with its latest revision; None where it was never seen."""
    with store.read() as session:
        found = _latest(session, (SlideRow.source_id == source) & (SlideRow.slide_id == slide_id))
        return next((known for _, known in found), None)


def known_by_a_name(store: Store, source: int, layout: Layout, slide_id: str, folder: str) -> tuple[str, Known | None]:
    """(slide_id, what is known of it) of a folder: under the first of its names that no other folder has."""
    while True:
        known = known_slide(store, source, slide_id)
        taken = known is not None and known.folder != folder
        other = layout.other_name(slide_id, folder) if taken else slide_id
        if other == slide_id:
            return slide_id, known
        slide_id = other


def _latest(session: Session, where: Any) -> list[tuple[str, Known]]:
    rows = session.exec(
        select(SlideRow, RevisionRow)
        .join(RevisionRow, col(RevisionRow.slide) == col(SlideRow.id))
        .where(where, is_latest_revision())
    )
    return [
        (
            s.slide_id,
            Known(key(s.id), key(r.id), r.number, _state(r), r.signature, r.finished_at, raw(s.folder), r.sidecar_stat),
        )
        for s, r in rows
    ]


def _state(row: RevisionRow) -> RevisionState:
    return row.state  # type: ignore[return-value]


def open_slide(store: Store, source: int, slide_id: str, folder: str) -> Known:
    """Record a slide at first sight, as `arriving`; a slide seen before is returned as it is."""
    now = utc_now()
    try:
        with store.write() as session:
            slide = SlideRow(source_id=source, slide_id=slide_id, folder=shown(folder), first_seen_at=now)
            session.add(slide)
            session.flush()
            revision = RevisionRow(slide=key(slide.id), number=1, arrived_at=now)
            session.add(revision)
            session.flush()
            return Known(key(slide.id), key(revision.id), 1, "arriving", None, None, folder)
    except IntegrityError:
        # Another watcher was faster.
        known = known_slide(store, source, slide_id)
        assert known is not None
        return known


def open_revision(store: Store, known: Known) -> Known:
    """The next revision of a slide, as `arriving`; the earlier ones stay."""
    try:
        with store.write() as session:
            revision = RevisionRow(slide=known.slide, number=known.number + 1, arrived_at=utc_now())
            session.add(revision)
            session.flush()
            return Known(known.slide, key(revision.id), revision.number, "arriving", None, None, known.folder)
    except IntegrityError:
        # Another watcher was faster.
        with store.read() as session:
            ((_, latest),) = _latest(session, SlideRow.id == known.slide)
            return latest


def scanned(store: Store, source: int) -> None:
    """The whole of a source has just been compared with the database."""
    with store.write() as session:
        session.execute(update(SourceRow).where(col(SourceRow.id) == source).values(scanned_at=utc_now()))


def forget(store: Store, known: Known) -> bool:
    """Take back the first sight of a slide of which nothing was ever read: its folder only changed its name.

    False where it stays: something was read, or a user left a remark on it.
    """
    with store.write() as session:
        # A server locks the row, so that no remark comes in between.
        free = select(SlideRow.id).where(SlideRow.id == known.slide, ~must_stay()).with_for_update(of=SlideRow)
        revisions = session.exec(select(RevisionRow).where(RevisionRow.slide == known.slide)).all()
        unread = [(r.number, r.state, r.attempts) for r in revisions] == [(1, "arriving", 0)]
        if not unread or session.exec(free).one_or_none() is None:
            return False
        remove(session, [known.slide])
        return True


def settle(
    store: Store,
    revision: int,
    sidecar: dict[str, Any] | None,
    *,
    blood: bool,
    sidecar_problems: list[dict[str, str]] | None = None,
    sidecar_stat: str | None = None,
    signature: str | None = None,
    rank: int = 0,
) -> None:
    """An arriving revision has settled: to be queued, or only listed where it is no blood smear.

    `sidecar` and the two named after it are a SlideFacts (smear/slide_facts.py), in parts. `signature` stands for what
    lay in the folder then, should the revision fail without ever being read; `rank` is its place in the outbox.
    """
    now = utc_now()
    values: dict[str, Any] = {"settled_at": now, "state": "queued"}
    values |= {"sidecar": sidecar, "sidecar_problems": sidecar_problems or None, "sidecar_stat": sidecar_stat}
    values |= {"signature": signature, "rank": rank}
    if not blood:
        values |= {"state": "listed", "reason": "not a blood smear: no differential", "finished_at": now}
    with store.write() as session:
        change_revision(session, revision, (RevisionRow.state == "arriving",), **values)


def arriving(store: Store, source: int) -> list[tuple[str, str]]:
    """(slide_id, folder) of every slide of a source with a revision that is arriving."""
    with store.read() as session:
        rows = session.exec(
            select(SlideRow.slide_id, SlideRow.folder)
            .join(RevisionRow, col(RevisionRow.slide) == col(SlideRow.id))
            .where(SlideRow.source_id == source, RevisionRow.state == "arriving")
        )
        return [(slide_id, raw(folder)) for slide_id, folder in rows]


def fail_arriving(store: Store, revision: int, reason: str, signature: str = "") -> bool:
    """A revision that was still arriving has failed; False where it was not. The default signature is that of no
    folder, so that a scan looks again.
    """
    values = {"state": "failed", "reason": reason, "finished_at": utc_now(), "signature": signature}
    with store.write() as session:
        return change_revision(session, revision, (RevisionRow.state == "arriving",), **values)


def refuse(store: Store, source: int, slide_id: str, folder: str, reason: str) -> int | None:
    """Record a slide that the database rejects as failed, under a stand-in name where it rejects the name itself.

    The revision's row number; None where that was recorded before.
    """
    for name in (slide_id, stand_in_name(folder)):
        try:
            known = known_slide(store, source, name) or open_slide(store, source, name, folder)
        except RowRejected:
            continue
        if known.folder == folder:
            return known.revision if fail_arriving(store, known.revision, reason) else None
    return None


def stand_in_name(folder: str) -> str:
    """A name that every database can keep, for a slide whose own it cannot."""
    return f"rejected-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}"
