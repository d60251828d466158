"""Why slides wait: the reason that kept a worker from a slide, written on its revision for `worker status` to tell.

Rows, since the worker may be on any host. The next claim clears the reason.
"""

from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from smear.review_tables import MAX_TEXT
from smear.store import Store
from smear.tables import RevisionRow
from worker.ledger import change_revision


def note(store: Store, revision: int, reason: str) -> None:
    """Write down why a queued revision is not worked on; where another worker has it, or it is done, nothing."""
    reason = reason[:MAX_TEXT]
    waits = (RevisionRow.state == "queued", col(RevisionRow.claimed_by).is_(None))
    with store.write() as session:
        change_revision(session, revision, waits, reason=reason)


def reasons(session: Session) -> list[tuple[str, int]]:
    """Every reason for which queued slides wait, and how many do, the most frequent first."""
    n: Any = func.count()
    waiting = (
        RevisionRow.state == "queued",
        col(RevisionRow.claimed_by).is_(None),
        col(RevisionRow.reason).is_not(None),
    )
    query = select(RevisionRow.reason, n).where(*waiting).group_by(col(RevisionRow.reason))
    return [(str(reason), int(count)) for reason, count in session.exec(query.order_by(n.desc()))]
