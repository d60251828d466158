"""The audit as its page shows it: newest first, in words."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlmodel import Session, col, select

from review.after_signing import in_words as changes_in_words
from smear.kinds import shown
from smear.review_tables import AuditRow
from smear.tables import SlideRow


PAGE: Final = 100


@dataclass(frozen=True)
class Entry:
    """One line of the audit for people."""

    number: int
    at: datetime
    who: str
    role: str
    action: str
    slide: int | None
    slide_name: str | None
    what: str
    reason: str | None
    bundle: str | None
    hash: str


def entries(session: Session, *, slide: int | None = None, before: int | None = None) -> list[Entry]:
    """PAGE lines, newest first, from `before` (a line's number) downwards; of one slide, or of all."""
    query = select(AuditRow, SlideRow.slide_id).join(SlideRow, col(SlideRow.id) == col(AuditRow.slide), isouter=True)
    if slide is not None:
        query = query.where(AuditRow.slide == slide)
    if before is not None:
        query = query.where(col(AuditRow.number) < before)
    rows = session.exec(query.order_by(col(AuditRow.number).desc()).limit(PAGE))
    return [
        Entry(r.number, r.at, r.who, r.role, r.action, r.slide, name, in_words(r), r.reason, r.bundle, r.hash)
        for r, name in rows
    ]


def in_words(row: AuditRow) -> str:
    """What was before and what is after, in a phrase."""
    before, after = row.before or {}, row.after or {}
    if "cells" in after:
        return _cells(before.get("cells", []), after["cells"])
    if row.action in {"sign", "sign second"}:
        percent = after.get("result", {}).get("percent")
        if not percent:
            return "differential withheld"
        return ", ".join(f"{name[0].upper()} {value:g} %" for name, value in percent.items())
    if row.action == "comment":
        return f"“{after.get('text')}”{' on a cell' if after.get('cell') else ''}"
    if row.action == "sidecar changed":
        return changes_in_words(before, after)
    parts = [f"{name} {value}" for name, value in after.items() if value is not None]
    was = [f"{name} {value}" for name, value in before.items() if value is not None]
    return ", ".join(parts) if not was else f"{', '.join(was)} → {', '.join(parts)}"


def _cells(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> str:
    moves = {
        (shown(old.get("label"), old.get("kind")), shown(new.get("label"), new.get("kind")))
        for old, new in zip(before, after, strict=False)
    }
    number = f"{len(after)} cell{'s' if len(after) != 1 else ''}"
    if len(moves) == 1:
        old, new = next(iter(moves))
        return f"{number}: {old} → {new}"
    return f"{number}, {len(moves)} kinds of change"
