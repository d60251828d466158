"""The life of a settled revision in the database: who may do what next, decided by conditional updates alone.

    queued -> classified | failed

A claim is a lease: `claimed_by` with a heartbeat counter. Every claim and every take-back raises `token`; whoever
writes must still hold the token it was given, so an attempt that lost its lease can change nothing. A claim whose
worker died is counted as a death, on the slide and on the one content that was alone in its hands, if any.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import CursorResult, func, update
from sqlmodel import Session, col, select

from smear.audit import CONSOLE, append, append_each
from smear.files import raw
from smear.store import Store
from smear.tables import RevisionRow, SlideRow, SourceRow, is_latest_revision, is_named, key, utc_now
from worker import quarantine
from worker.ending import SILENT, End
from worker.lanes import in_lane, lane_of_row


#: Placeholders that a statement may have; SQLite's limit is far above.
_AT_ONCE: Final = 500


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
        change_revision(session, revision, lost, published_at=None)


def claim(store: Store, revision: int, worker: str) -> Claim | None:
    """Take a queued revision; None where it is done, gone or somebody else's. Counts the attempt before any work."""
    with store.write() as session:
        free = (RevisionRow.state == "queued", col(RevisionRow.claimed_by).is_(None))
        if not change_revision(
            session,
            revision,
            free,
            claimed_by=worker,
            token=col(RevisionRow.token) + 1,
            attempts=col(RevisionRow.attempts) + 1,
            reason=None,
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
        if not change_revision(
            session, claim.revision, (RevisionRow.token == claim.token,), beat=col(RevisionRow.beat) + 1
        ):
            raise Fenced(f"revision {claim.revision}")


def take_in_hand(store: Store, claim: Claim, sha256: str | None) -> None:
    """Say which content is alone in the holder's hands from now on, or none; raises Fenced. A heartbeat as well."""
    with store.write() as session:
        ours = (RevisionRow.token == claim.token, RevisionRow.state == "queued")
        if not change_revision(session, claim.revision, ours, in_hand=sha256, beat=col(RevisionRow.beat) + 1):
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
        if not change_revision(session, lost.revision, same, **_released(), **values):
            return False
        # What was in hand is part of `beat`: had it changed meanwhile, so had that.
        if ended.own and lost.in_hand is not None:
            quarantine.count_death(session, lost.in_hand, lost.revision, ended.words)
        return True


def let_go(store: Store, claim: Claim) -> None:
    """Put a claim back into the outbox undone, without counting the attempt: its holder was told to stop, or has
    lost the database for a while. Harmless where the claim is over.
    """
    let_go_of(store, claim.revision, claim.token, claim.attempts)


def let_go_of(store: Store, revision: int, token: int, attempts: int) -> None:
    """As `let_go`, for a claim of which only these numbers are left."""
    with store.write() as session:
        ours = (RevisionRow.token == token, RevisionRow.state == "queued", col(RevisionRow.claimed_by).is_not(None))
        change_revision(session, revision, ours, **_released(), attempts=attempts - 1)


def let_go_unanswered(store: Store, revision: int, worker: str) -> None:
    """As `let_go`, for a claim whose commit the database did not answer: it may hold, and its token is not known."""
    with store.write() as session:
        ours = (RevisionRow.state == "queued", RevisionRow.claimed_by == worker)
        change_revision(session, revision, ours, **_released(), attempts=col(RevisionRow.attempts) - 1)


def release(store: Store, claim: Claim, *, attempts: int) -> None:
    """Hand a claim back undone: the watcher settles the slide anew. `attempts` is what the slide keeps of its count."""
    with store.write() as session:
        ours = (RevisionRow.token == claim.token, RevisionRow.state == "queued")
        change_revision(
            session, claim.revision, ours, **_released(), state="arriving", settled_at=None, attempts=attempts
        )


def fail(store: Store, claim: Claim, reason: str) -> None:
    """The revision has failed, for a reason a technologist can act on."""
    with store.write() as session:
        ours = (RevisionRow.token == claim.token, RevisionRow.state == "queued")
        change_revision(
            session, claim.revision, ours, **_released(), state="failed", reason=reason, finished_at=utc_now()
        )


def retry(store: Store, slide_ids: Iterable[str] | None) -> int:
    """Queue failed slides again, these or all, with a line in the audit for each; how many there were."""
    with store.write() as session:
        query = (
            select(col(RevisionRow.id))
            .join(SlideRow, col(SlideRow.id) == col(RevisionRow.slide))
            .where(RevisionRow.state == "failed", is_latest_revision())
        )
        if slide_ids is not None:
            query = query.where(is_named(*slide_ids))
        revisions = [key(revision) for revision in session.exec(query)]
        return _queue_again(session, revisions, ("failed",), "worker retry")


def let_out(store: Store, contents: Iterable[str], revisions: Iterable[int]) -> int:
    """Take contents out of quarantine, and queue revisions that hold them again, unless a person has looked at them;
    how many revisions there were. Both or neither: a slide whose picture is free again has nobody else to send it.
    """
    contents = sorted(contents)
    with store.write() as session:
        quarantine.let_go(session, contents)
        if contents:
            append(session, CONSOLE, "release from quarantine", after={"pictures": contents})
        return _queue_again(session, revisions, ("failed", "classified"), "a picture was released from quarantine")


def _queue_again(session: Session, revisions: Iterable[int], states: tuple[str, ...], reason: str) -> int:
    afresh = {"state": "queued", "reason": None, "finished_at": None, "attempts": 0, "deaths": 0}
    finished = (col(RevisionRow.state).in_(states),)
    queued = [r for r in revisions if change_revision(session, r, finished, **_released(), **afresh)]
    for at in range(0, len(queued), _AT_ONCE):
        some = col(RevisionRow.id).in_(queued[at : at + _AT_ONCE])
        about = session.exec(select(RevisionRow.slide, RevisionRow.id).where(some).order_by(col(RevisionRow.id)))
        told = [(slide, key(revision)) for slide, revision in about]
        append_each(session, CONSOLE, "retry", told, after={"state": "queued"}, reason=reason)
    return len(queued)


def _released() -> dict[str, Any]:
    return {"claimed_by": None, "published_at": None, "in_hand": None, "token": col(RevisionRow.token) + 1}


def change_revision(session: Session, revision: int, conditions: tuple[Any, ...], **values: Any) -> bool:
    """Update one revision where the conditions still hold; whether they did."""
    result = session.execute(update(RevisionRow).where(col(RevisionRow.id) == revision, *conditions).values(**values))
    assert isinstance(result, CursorResult)
    return result.rowcount == 1
