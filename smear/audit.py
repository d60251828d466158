"""The audit: who did what, when and why, one line after the other, each carrying the hash of the one before.

Lines are only ever added: triggers of the database refuse anything else, and `verify` finds what got past them.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final

from sqlmodel import Session, col, select

from smear.review_tables import AuditHeadRow, AuditRow
from smear.store import Store
from smear.tables import utc_now


#: What the first line carries as the hash of the one before.
GENESIS: Final = "0" * 64
_BATCH: Final = 1000


@dataclass(frozen=True)
class Actor:
    """Who acts: a user's row, or a program by its name."""

    user: int | None
    who: str
    role: str


@dataclass(frozen=True)
class Verdict:
    """What `verify` found: how many lines, the hash of the last, and the first thing that is wrong, in words."""

    lines: int
    head: str
    problem: str | None


def append(
    session: Session,
    actor: Actor,
    action: str,
    *,
    slide: int | None = None,
    revision: int | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    reason: str | None = None,
    bundle: str | None = None,
    versions: dict[str, Any] | None = None,
) -> AuditRow:
    """Add a line in the caller's transaction: it stands or falls with what it tells of."""
    head = session.exec(select(AuditHeadRow).where(AuditHeadRow.id == 1).with_for_update()).one()
    row = AuditRow(
        number=head.number + 1,
        at=utc_now(),
        user=actor.user,
        who=actor.who,
        role=actor.role,
        action=action,
        slide=slide,
        revision=revision,
        before=before,
        after=after,
        reason=reason,
        bundle=bundle,
        versions=versions,
        previous_hash=head.hash,
        hash="",
    )
    row.hash = line_hash(row)
    head.number, head.hash = row.number, row.hash
    session.add(row)
    session.add(head)
    session.flush()
    return row


def line_hash(row: AuditRow) -> str:
    """SHA-256 over a line's fields and the hash before it, as JSON with sorted keys."""
    told = row.model_dump(exclude={"hash"}) | {"at": row.at.astimezone(UTC).isoformat(timespec="microseconds")}
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def verify(store: Store, expect: str | None = None) -> Verdict:
    """Read the whole chain. `expect` is a hash written down earlier, elsewhere: it must be among the lines.

    Without it whoever can write the database could have written a new chain from the first line on.
    """
    previous, number, seen = GENESIS, 0, expect is None
    with store.read() as session:
        head = session.exec(select(AuditHeadRow)).one_or_none()
        for row in _lines(session):
            if row.number != number + 1:
                return Verdict(number, previous, f"line {number + 1} is missing")
            if row.previous_hash != previous:
                return Verdict(number, previous, f"line {row.number} does not follow the line before it")
            if line_hash(row) != row.hash:
                return Verdict(number, previous, f"line {row.number} is not what was written")
            previous, number = row.hash, row.number
            seen = seen or row.hash == expect
    if head is None or (head.number, head.hash) != (number, previous):
        return Verdict(number, previous, f"lines after {number} are missing")
    if not seen:
        return Verdict(number, previous, "the expected hash is not among the lines")
    return Verdict(number, previous, None)


def _lines(session: Session) -> Iterator[AuditRow]:
    last = 0
    while rows := session.exec(
        select(AuditRow).where(col(AuditRow.number) > last).order_by(col(AuditRow.number)).limit(_BATCH)
    ).all():
        yield from rows
        last = rows[-1].number
        session.expunge_all()
