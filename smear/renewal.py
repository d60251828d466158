"""What a restored database must not share with the one that it replaces: numbers, identities, tokens, sessions.

Pages, workers, messages and logs know the replaced one. Its row numbers are not given out again, and nothing that was
open, claimed or signed in under it goes on under this one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import CursorResult, Table, func, text, update
from sqlmodel import Session, SQLModel, col, delete, select

from smear.audit import CONSOLE, GENESIS, Verdict, append
from smear.nightly_tables import LeaseRow, RunRow
from smear.review_tables import AuditHeadRow, AuditRow, DeviceRow, ReviewRow, SessionRow
from smear.runs import STAGES
from smear.store import Store
from smear.tables import RevisionRow, SourceRow, utc_now


#: Where the replaced database cannot be asked which numbers it gave out, they go on this far above the restored ones.
#: Fencing tokens always do: what they were at the end of the replaced database is nowhere to be had for each row.
GAP: Final = 1_000_000


@dataclass(frozen=True)
class Replaced:
    """What the replaced database had given out: the highest number of each table, its nights, the end of its audit."""

    numbers: Mapping[str, int]
    nights: frozenset[str] = frozenset()
    lines: int = 0
    head: str = GENESIS


@dataclass(frozen=True)
class Renewed:
    """How many revisions have a new identity, how many claims and how many sessions ended."""

    revisions: int
    claims_ended: int
    sessions_ended: int


def renew(store: Store, restored: Verdict, replaced: Replaced | None) -> Renewed:
    """Renew a restored database in one transaction, with a line in its audit. `replaced` is None where it is unknown.

    Raises StoreUnavailable.
    """
    with store.write() as session:
        for table in counted_tables():
            _count_on(session, table, None if replaced is None else replaced.numbers.get(table.name, 0))
        fresh = "lower(hex(randomblob(16)))"
        if _on_postgresql(session):
            fresh = "replace(CAST(gen_random_uuid() AS text), '-', '')"
        claims = _rows(session, update(RevisionRow).where(col(RevisionRow.claimed_by).is_not(None)).values(
            claimed_by=None, in_hand=None))  # fmt: skip
        revisions = _rows(session, update(RevisionRow).values(
            identity=text(fresh), token=col(RevisionRow.token) + GAP))  # fmt: skip
        # Their messages were lost with the broker's, or are another revision's by now: the outbox sends them again.
        _rows(session, update(RevisionRow).where(col(RevisionRow.state) == "queued").values(published_at=None))
        _rows(session, update(SourceRow).values(
            watched_by=None, watch_token=col(SourceRow.watch_token) + GAP, scanned_at=None))  # fmt: skip
        _rows(session, update(LeaseRow).values(holder=None, token=col(LeaseRow.token) + GAP))
        _rows(session, update(ReviewRow).values(held_by=None, held_at=None))
        sessions = _rows(session, delete(SessionRow))
        # Browsers that a reset of a password has made strangers since must not be known again.
        _rows(session, delete(DeviceRow))
        _end_lost_nights(session, replaced)
        if restored.problem is not None:
            _head_at_last_line(session)
        append(
            session, CONSOLE, "restore",
            before=None if replaced is None else {"lines": replaced.lines, "head": replaced.head},
            after={"lines": restored.lines, "head": restored.head, "problem": restored.problem},
        )  # fmt: skip
        return Renewed(revisions, claims, sessions)


def counted_tables() -> list[Table]:
    """Every table whose row numbers the database counts. Two others have one row, always number 1."""
    return [
        table
        for table in SQLModel.metadata.sorted_tables
        if table.autoincrement_column is not None and table.autoincrement_column.default is None
        and table.name not in {"serving", "audit_head"}
    ]  # fmt: skip


def _count_on(session: Session, table: Table, replaced: int | None) -> None:
    if _on_postgresql(session):
        sequence = f"pg_get_serial_sequence('{table.name}', 'id')"
        session.execute(text(f"SELECT setval({sequence}, nextval({sequence}) + {GAP})"))
        return
    told = {"name": table.name}
    own = session.execute(text("SELECT seq FROM sqlite_sequence WHERE name = :name"), told).scalar() or 0
    there = session.execute(select(func.coalesce(func.max(table.c.id), 0))).scalar_one()
    seq = max(int(own), int(there)) + GAP if replaced is None else max(int(own), int(there), replaced)
    session.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), told)
    session.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :seq)"), told | {"seq": seq})


def _end_lost_nights(session: Session, replaced: Replaced | None) -> None:
    """Nights of the replaced database stay named, for their folders and bundles are still there."""
    known: set[str] = set(session.exec(select(RunRow.night)))
    nights = set() if replaced is None else replaced.nights - known
    now = utc_now()
    for night in sorted(nights):
        session.add(
            RunRow(night=night, stage=STAGES[0], state="ended", created_at=now, finished_at=now,
                   reason="the database was restored to a state before this night")
        )  # fmt: skip
        session.flush()


def _head_at_last_line(session: Session) -> None:
    """Where a broken chain is restored on purpose, it goes on after its last line, whatever is missing before."""
    last = session.exec(select(AuditRow).order_by(col(AuditRow.number).desc()).limit(1)).one_or_none()
    head = session.get(AuditHeadRow, 1) or AuditHeadRow(number=0, hash=GENESIS)
    head.number, head.hash = (0, GENESIS) if last is None else (last.number, last.hash)
    session.add(head)
    session.flush()


def _rows(session: Session, statement: Any) -> int:
    result = session.execute(statement)
    assert isinstance(result, CursorResult)
    return int(result.rowcount)


def _on_postgresql(session: Session) -> bool:
    return bool(session.get_bind().dialect.name == "postgresql")
