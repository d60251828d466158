"""The audit: who did what, when and why, one line after the other, each carrying the hash of the one before.

Lines are only ever added: triggers of the database refuse anything else, and `verify` finds what got past them, in the
chain itself and in the labels, signatures and states that its lines record (smear/audit_replay.py).
"""

import hashlib
import json
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC
from itertools import islice
from typing import Any, Final

from sqlmodel import Session, col, select

from smear.audit_replay import PURGED_SLIDES, Counted, problems
from smear.review_tables import AuditHeadRow, AuditRow
from smear.store import Store
from smear.tables import utc_now


#: What the first line carries as the hash of the one before.
GENESIS: Final = "0" * 64
_BATCH: Final = 1000
#: As many differences between rows and audit as one verification names.
MAX_PROBLEMS: Final = 100


@dataclass(frozen=True)
class Actor:
    """Who acts: a user's row, or a program by its name."""

    user: int | None
    who: str
    role: str


#: A person at this machine's command line.
CONSOLE: Final = Actor(None, "console", "console")


@dataclass(frozen=True)
class Verdict:
    """What `verify` found: how many lines, the hash of the last, and the first thing that is wrong, in words.

    `further` names more that is wrong, MAX_PROBLEMS at most; `labels` and `signatures` count the rows compared.
    """

    lines: int
    head: str
    problem: str | None
    further: tuple[str, ...] = ()
    labels: int = 0
    signatures: int = 0


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
    told = _Told(action, before, after, reason, bundle, versions)
    (row,) = _append(session, actor, told, [(slide, revision)])
    return row


def append_each(
    session: Session,
    actor: Actor,
    action: str,
    about: Iterable[tuple[int, int]],
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    reason: str | None = None,
) -> None:
    """Add a line for each (slide, revision) of one act on many, in the caller's transaction; many rows in one go."""
    _append(session, actor, _Told(action, before, after, reason), list(about))


@dataclass(frozen=True)
class _Told:
    """What lines say that are written together."""

    action: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    reason: str | None
    bundle: str | None = None
    versions: dict[str, Any] | None = None


def _append(
    session: Session, actor: Actor, told: _Told, about: Sequence[tuple[int | None, int | None]]
) -> list[AuditRow]:
    head = session.exec(select(AuditHeadRow).where(AuditHeadRow.id == 1).with_for_update()).one()
    rows = []
    for slide, revision in about:
        row = AuditRow(
            number=head.number + 1, at=utc_now(), user=actor.user, who=actor.who, role=actor.role, slide=slide,
            revision=revision, previous_hash=head.hash, hash="", **vars(told),
        )  # fmt: skip
        row.hash = line_hash(row)
        head.number, head.hash = row.number, row.hash
        rows.append(row)
    session.add_all(rows)
    session.add(head)
    session.flush()
    return rows


def line_hash(row: AuditRow) -> str:
    """SHA-256 over a line's fields and the hash before it, as JSON with sorted keys."""
    return _digest(row.model_dump(exclude={"hash"}))


def verify(store: Store, expect: str | None = None) -> Verdict:
    """Read the whole chain, then compare labels, signatures and states of reviews with what its lines record.

    `expect` is a hash written down earlier, elsewhere: it must be among the lines. Without it, a person who can write
    the database could have written a new chain from the first line on.
    """
    # One snapshot: what people do meanwhile would otherwise look like rows without lines.
    with store.snapshot() as session:
        verdict, purged = _verify_chain(session, expect)
        if verdict.problem is not None:
            return verdict
        counted = Counted()
        with closing(problems(session, purged, counted)) as differences:
            found = tuple(islice(differences, MAX_PROBLEMS))
    first, further = (found[0], found[1:]) if found else (None, ())
    return Verdict(verdict.lines, verdict.head, first, further, counted.labels, counted.signatures)


def _verify_chain(session: Session, expect: str | None) -> tuple[Verdict, dict[int, int]]:
    """The chain alone; with the line of each slide that was purged."""
    previous, number, seen = GENESIS, 0, expect is None
    purged: dict[int, int] = {}

    def broken(problem: str) -> tuple[Verdict, dict[int, int]]:
        return Verdict(number, previous, problem), purged

    head = session.exec(select(AuditHeadRow)).one_or_none()
    with closing(_lines(session)) as lines:
        for told in lines:
            kept = told.pop("hash")
            if told["number"] != number + 1:
                return broken(f"line {number + 1} is missing")
            if told["previous_hash"] != previous:
                return broken(f"line {told['number']} does not follow the line before it")
            if _digest(told) != kept:
                return broken(f"line {told['number']} is not what was written")
            previous, number = kept, told["number"]
            seen = seen or kept == expect
            if told["action"] == PURGED_SLIDES:
                purged |= dict.fromkeys(told["after"]["slides"], number)
    if head is None or (head.number, head.hash) != (number, previous):
        return broken(f"lines after {number} are missing")
    if not seen:
        return broken("the expected hash is not among the lines")
    return Verdict(number, previous, None), purged


def _digest(told: dict[str, Any]) -> str:
    told["at"] = told["at"].astimezone(UTC).isoformat(timespec="microseconds")
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _lines(session: Session) -> Generator[dict[str, Any]]:
    """Every line in order, as plain values: as rows of the ORM they would take three times as long."""
    names = list(AuditRow.model_fields)
    lines = select(*(col(getattr(AuditRow, name)) for name in names)).order_by(col(AuditRow.number))
    with closing(session.execute(lines.execution_options(yield_per=_BATCH))) as rows:
        for row in rows:
            yield dict(zip(names, row, strict=True))
