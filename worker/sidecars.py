"""Taking up what a sidecar says of a slide that is finished: without classifying it again, and without a revision."""

from typing import Any, Final

from sqlmodel import Session, col, select

from smear.audit import Actor, append
from smear.flags import flags
from smear.intervals import Intervals
from smear.review_tables import ReviewRow, SignatureRow
from smear.slide_facts import SlideFacts
from smear.store import Store
from smear.tables import DifferentialRow, RevisionRow, key, utc_now


_FINISHED: Final = ("classified", "reviewed", "signed", "failed")
#: Changes under a signature that a revision remembers; the audit has every one.
_REMEMBERED: Final = 20
_WATCHER: Final = Actor(None, "watcher", "program")


def take_up(store: Store, revision: int, facts: SlideFacts, intervals: Intervals) -> bool:
    """Store what the sidecar of a finished slide says now, with the flags that rest on it; whether that is news.

    What was signed stays; that its data changed afterwards is noted on the revision. Any change is a line of the audit.
    """
    with store.write() as session:
        # As the page does before it signs: what one of the two writes, the other one sees.
        lock = {"key_share": True} if session.get_bind().dialect.name != "sqlite" else None
        row = session.get(RevisionRow, revision, with_for_update=lock)
        if row is None or row.state not in _FINISHED:
            return False
        before, after = row.sidecar or {}, facts.values or {}
        problems = row.sidecar_problems or []
        news = before != after or problems != facts.problems
        if not news and row.sidecar_stat == facts.stat:
            return False
        row.sidecar_stat = facts.stat
        if news:
            row.sidecar, row.sidecar_problems = facts.values, facts.problems or None
            _change_differentials(session, revision, problems, facts, intervals)
        if before != after:
            _note(session, row, before, after)
        session.add(row)
        return news


def _change_differentials(
    session: Session, revision: int, problems: list[dict[str, str]], facts: SlideFacts, intervals: Intervals
) -> None:
    wbc = (facts.values or {}).get("wbc_10e9_L")
    for row in session.exec(select(DifferentialRow).where(DifferentialRow.revision == revision)):
        row.problems = [problem for problem in row.problems if problem not in problems] + facts.problems
        if row.flags is not None:  # null in rows of before there were flags
            row.flags = flags(row.percent, row.ci95, intervals, wbc)
        session.add(row)


def _note(session: Session, row: RevisionRow, before: dict[str, Any], after: dict[str, Any]) -> None:
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    was, now = ({name: told.get(name) for name in changed} for told in (before, after))
    append(session, _WATCHER, "sidecar changed", slide=row.slide, revision=key(row.id), before=was, after=now)
    of_revision = SignatureRow.revision == row.id
    if session.exec(select(SignatureRow.id).where(of_revision).limit(1)).first() is not None:
        change = {"at": utc_now().isoformat(), "before": was, "after": now}
        row.changed_after_signing = [*(row.changed_after_signing or []), change][-_REMEMBERED:]
    if row.state in {"classified", "reviewed"}:
        # Whoever has the slide open has not seen these data: a signature needs a look at them first.
        review = session.exec(select(ReviewRow).where(col(ReviewRow.revision) == row.id)).one_or_none()
        review = review or ReviewRow(revision=key(row.id))
        review.version += 1
        session.add(review)
