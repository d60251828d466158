"""The life of a revision in the database: who may do what next, decided by conditional updates alone.

    arriving -> queued -> classified | failed | listed

A claim is a lease: `claimed_by` with a heartbeat counter. Every claim and every take-back raises `token`; whoever
writes must still hold the token it was given, so an attempt that lost its lease can change nothing. A claim whose
worker died is counted as a death, on the slide and on the one content that was alone in its hands, if any.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import CursorResult, func, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from smear.files import raw, shown
from smear.listing import Layout
from smear.sources import Source
from smear.store import Store
from smear.tables import RevisionRow, RevisionState, SlideRow, SourceRow, is_latest_revision, key, utc_now
from worker import lanes, quarantine
from worker.ending import SILENT, End
from worker.lanes import in_lane, lane_of_row


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


@dataclass(frozen=True)
class Claim:
    """The right to work on a revision, until somebody takes it back."""

    revision: int
    token: int
    slide: int
    slide_id: str
    number: int
    folder: str
    source: str
    attempts: int
    deaths: int = 0


@dataclass(frozen=True)
class Held:
    """A claim as seen from outside: its token, and the heartbeat that only grows while its holder lives."""

    revision: int
    token: int
    beat: int
    attempts: int
    deaths: int
    worker: str
    in_hand: str | None


class Fenced(Exception):
    """The claim was taken back meanwhile: whatever was worked out must not be written."""


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
    with store.read() as session:
        return dict(_latest(session, (col(SlideRow.source_id) == source) & col(SlideRow.slide_id).in_(slide_ids)))


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
            Known(key(s.id), key(r.id), r.number, _state(r), r.signature, r.finished_at, raw(s.folder)),
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


def forget(store: Store, known: Known) -> None:
    """Take back the first sight of a slide of which nothing was ever read: its folder only changed its name."""
    with store.write() as session:
        revision = session.get(RevisionRow, known.revision)
        if revision is not None and (revision.number, revision.state, revision.attempts) == (1, "arriving", 0):
            session.delete(revision)
            session.flush()
            session.delete(session.get_one(SlideRow, known.slide))


def settle(
    store: Store,
    revision: int,
    sidecar: dict[str, Any] | None,
    *,
    blood: bool,
    signature: str | None = None,
    rank: int = 0,
) -> None:
    """An arriving revision has settled: to be queued, or only listed where it is no blood smear.

    `signature` stands for what lay in the folder then, should the revision fail without ever being read; `rank` is its
    place in the outbox.
    """
    now = utc_now()
    values: dict[str, Any] = {"settled_at": now, "sidecar": sidecar, "state": "queued"}
    values |= {"signature": signature, "rank": rank}
    if not blood:
        values |= {"state": "listed", "reason": "not a blood smear: no differential", "finished_at": now}
    with store.write() as session:
        _change(session, revision, (RevisionRow.state == "arriving",), **values)


def arriving(store: Store, source: int) -> list[tuple[str, str]]:
    """(slide_id, folder) of every slide of a source with a revision that is arriving."""
    with store.read() as session:
        rows = session.exec(
            select(SlideRow.slide_id, SlideRow.folder)
            .join(RevisionRow, col(RevisionRow.slide) == col(SlideRow.id))
            .where(SlideRow.source_id == source, RevisionRow.state == "arriving")
        )
        return [(slide_id, raw(folder)) for slide_id, folder in rows]


def fail_arriving(store: Store, revision: int, reason: str) -> None:
    """A revision that was still arriving has failed. Its signature is that of no folder, so that a scan looks again."""
    with store.write() as session:
        still = (RevisionRow.state == "arriving",)
        _change(session, revision, still, state="failed", reason=reason, finished_at=utc_now(), signature="")


def to_publish(store: Store, limit: int, lane: int | None = None) -> list[int]:
    """Revisions that the broker has not accepted yet, at most `limit`, of one lane or all.

    Those of the smallest rank come first, then the oldest.
    """
    if limit <= 0:
        return []
    query = select(RevisionRow.id).where(RevisionRow.state == "queued", col(RevisionRow.published_at).is_(None))
    if lane is not None:
        query = query.where(in_lane(lane))
    with store.read() as session:
        order = (col(RevisionRow.rank), col(RevisionRow.settled_at), col(RevisionRow.id))
        return [key(revision) for revision in session.exec(query.order_by(*order).limit(limit))]


def waiting_by_lane(store: Store) -> Counter[int]:
    """How many revisions whose message the broker accepted nobody works on yet, by lane."""
    of = lane_of_row()
    with store.read() as session:
        query = select(of, func.count()).where(
            RevisionRow.state == "queued",
            col(RevisionRow.published_at).is_not(None),
            col(RevisionRow.claimed_by).is_(None),
        )
        return Counter({int(lane): int(n) for lane, n in session.exec(query.group_by(of))})


def mark_published(store: Store, revisions: Iterable[int]) -> None:
    """The broker has accepted these."""
    with store.write() as session:
        session.execute(
            update(RevisionRow)
            .where(col(RevisionRow.id).in_(list(revisions)), col(RevisionRow.state) == "queued")
            .values(published_at=utc_now())
        )


def unclaimed(store: Store) -> list[int]:
    """Revisions whose message the broker accepted and that nobody works on yet, in the order that messages leave it."""
    with store.read() as session:
        return [
            key(revision)
            for revision in session.exec(
                select(RevisionRow.id)
                .where(
                    RevisionRow.state == "queued",
                    col(RevisionRow.published_at).is_not(None),
                    col(RevisionRow.claimed_by).is_(None),
                )
                .order_by(lane_of_row(), col(RevisionRow.published_at), col(RevisionRow.id))
            )
        ]


def held(store: Store) -> list[Held]:
    """Every claim there is."""
    with store.read() as session:
        rows = session.exec(
            select(RevisionRow).where(RevisionRow.state == "queued", col(RevisionRow.claimed_by).is_not(None))
        )
        return [Held(key(r.id), r.token, r.beat, r.attempts, r.deaths, str(r.claimed_by), r.in_hand) for r in rows]


def publish_again(store: Store, revision: int) -> None:
    """The message of an unclaimed revision is lost: it goes back into the outbox."""
    with store.write() as session:
        lost = (RevisionRow.state == "queued", col(RevisionRow.claimed_by).is_(None))
        _change(session, revision, lost, published_at=None)


def claim(store: Store, revision: int, worker: str) -> Claim | None:
    """Take a queued revision; None where it is done, gone or somebody else's. Counts the attempt before any work."""
    with store.write() as session:
        free = (RevisionRow.state == "queued", col(RevisionRow.claimed_by).is_(None))
        if not _change(
            session,
            revision,
            free,
            claimed_by=worker,
            token=col(RevisionRow.token) + 1,
            attempts=col(RevisionRow.attempts) + 1,
        ):
            return None
        row, slide, source = session.exec(
            select(RevisionRow, SlideRow, SourceRow)
            .join(SlideRow, col(SlideRow.id) == col(RevisionRow.slide))
            .join(SourceRow, col(SourceRow.id) == col(SlideRow.source_id))
            .where(RevisionRow.id == revision)
        ).one()
        return Claim(
            revision,
            row.token,
            key(slide.id),
            slide.slide_id,
            row.number,
            raw(slide.folder),
            source.name,
            row.attempts,
            row.deaths,
        )


def beat(store: Store, claim: Claim) -> None:
    """Say that the holder lives; raises Fenced where the claim is no longer his."""
    with store.write() as session:
        if not _change(session, claim.revision, (RevisionRow.token == claim.token,), beat=col(RevisionRow.beat) + 1):
            raise Fenced(f"revision {claim.revision}")


def take_in_hand(store: Store, claim: Claim, sha256: str | None) -> None:
    """Say which content is alone in the holder's hands from now on, or none; raises Fenced. A heartbeat as well."""
    with store.write() as session:
        ours = (RevisionRow.token == claim.token, RevisionRow.state == "queued")
        if not _change(session, claim.revision, ours, in_hand=sha256, beat=col(RevisionRow.beat) + 1):
            raise Fenced(f"revision {claim.revision}")


def take_back(store: Store, lost: Held, ended: End = SILENT) -> bool:
    """End a claim whose holder is dead, count the death where it may have been the slide's doing, and put the
    revision back into the outbox; False if it moved on.
    """
    return _end_claim(store, lost, ended)


def give_up(store: Store, lost: Held, reason: str, ended: End = SILENT) -> bool:
    """As `take_back`, but for good: the revision has failed."""
    return _end_claim(store, lost, ended, state="failed", reason=reason, finished_at=utc_now())


def _end_claim(store: Store, lost: Held, ended: End, **values: Any) -> bool:
    with store.write() as session:
        same = (RevisionRow.token == lost.token, RevisionRow.beat == lost.beat, RevisionRow.state == "queued")
        values |= {"deaths": col(RevisionRow.deaths) + int(ended.own)}
        if not _change(session, lost.revision, same, **_released(), **values):
            return False
        # What was in hand is part of `beat`: had it changed meanwhile, so had that.
        if ended.own and lost.in_hand is not None:
            quarantine.count_death(session, lost.in_hand, lost.revision, ended.words)
        return True


def let_go(store: Store, claim: Claim) -> None:
    """Put a claim back into the outbox undone, without counting the attempt: its holder was told to stop, or has
    lost the database for a while. Harmless where the claim is over.
    """
    with store.write() as session:
        ours = (
            RevisionRow.token == claim.token,
            RevisionRow.state == "queued",
            col(RevisionRow.claimed_by).is_not(None),
        )
        _change(session, claim.revision, ours, **_released(), attempts=claim.attempts - 1)


def release(store: Store, claim: Claim, *, attempts: int) -> None:
    """Hand a claim back undone: the watcher settles the slide anew. `attempts` is what the slide keeps of its count."""
    with store.write() as session:
        ours = (RevisionRow.token == claim.token,)
        _change(session, claim.revision, ours, **_released(), state="arriving", settled_at=None, attempts=attempts)


def fail(store: Store, claim: Claim, reason: str) -> None:
    """The revision has failed, for a reason a technologist can act on."""
    with store.write() as session:
        ours = (RevisionRow.token == claim.token,)
        _change(session, claim.revision, ours, **_released(), state="failed", reason=reason, finished_at=utc_now())


def retry(store: Store, slide_ids: Iterable[str] | None) -> int:
    """Queue failed slides again, these or all; how many there were."""
    with store.write() as session:
        query = (
            select(col(RevisionRow.id))
            .join(SlideRow, col(SlideRow.id) == col(RevisionRow.slide))
            .where(RevisionRow.state == "failed", is_latest_revision())
        )
        if slide_ids is not None:
            query = query.where(col(SlideRow.slide_id).in_(list(slide_ids)))
        revisions = [key(revision) for revision in session.exec(query)]
        return _queue_again(session, revisions, ("failed",))


def let_out(store: Store, contents: Iterable[str], revisions: Iterable[int]) -> int:
    """Take contents out of quarantine, and queue revisions that hold them again, unless a person has looked at them;
    how many revisions there were. Both or neither: a slide whose picture is free again has nobody else to send it.
    """
    with store.write() as session:
        quarantine.let_go(session, contents)
        return _queue_again(session, revisions, ("failed", "classified"))


def _queue_again(session: Session, revisions: Iterable[int], states: tuple[str, ...]) -> int:
    afresh = {"state": "queued", "reason": None, "finished_at": None, "attempts": 0, "deaths": 0}
    finished = (col(RevisionRow.state).in_(states),)
    return sum(_change(session, revision, finished, **_released(), **afresh) for revision in revisions)


def _released() -> dict[str, Any]:
    return {"claimed_by": None, "published_at": None, "in_hand": None, "token": col(RevisionRow.token) + 1}


def _change(session: Session, revision: int, conditions: tuple[Any, ...], **values: Any) -> bool:
    """Update one revision where the conditions still hold; whether they did."""
    result = session.execute(update(RevisionRow).where(col(RevisionRow.id) == revision, *conditions).values(**values))
    assert isinstance(result, CursorResult)
    return result.rowcount == 1
