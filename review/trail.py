"""The audit as its page shows it: newest first, in words, with pictures of cells and the numbers that were signed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlmodel import Session, col, select

from review import trail_cells
from review.after_signing import in_words as changes_in_words
from review.refusal import not_there
from review.trail_cells import Move
from smear.audit_replay import PURGED_SLIDES
from smear.cells import CELL_TYPES
from smear.kinds import shown
from smear.review_tables import AuditRow
from smear.tables import SlideRow


PAGE: Final = 100
#: Cells on a page of one line.
CELLS_PAGE: Final = 200


@dataclass(frozen=True)
class SignedType:
    """One of the five in a signed differential; per cent, limits and absolute count are None where there are none."""

    name: str
    count: int
    percent: float | None
    ci95: tuple[float, float] | None
    absolute: float | None


@dataclass(frozen=True)
class SignedNumbers:
    """The numbers that a person signed."""

    types: list[SignedType]
    outside: int
    #: (kind in words, cells)
    kinds: list[tuple[str, int]]
    withheld: bool


@dataclass(frozen=True)
class Entry:
    """One line of the audit for people. `more` counts cells beyond `moves`; `slide_name` is None once it is purged."""

    number: int
    at: datetime
    who: str
    role: str
    action: str
    slide: int | None
    slide_name: str | None
    what: str
    moves: list[Move]
    cells: int
    more: int
    signed: SignedNumbers | None
    reason: str | None
    bundle: str | None
    hash: str


def entries(
    session: Session, is_kept: Callable[[str], bool], *, slide: int | None = None, before: int | None = None
) -> list[Entry]:
    """PAGE lines, newest first, from `before` (a line's number) downwards; of one slide, or of all."""
    query = _query()
    if slide is not None:
        query = query.where(AuditRow.slide == slide)
    if before is not None:
        query = query.where(col(AuditRow.number) < before)
    rows = session.exec(query.order_by(col(AuditRow.number).desc()).limit(PAGE)).all()
    return _entries(session, is_kept, rows, slice(trail_cells.IN_A_LIST))


def line(session: Session, is_kept: Callable[[str], bool], number: int, first: int) -> Entry:
    """One line with CELLS_PAGE of its cells, from the `first` (0 based) on. Raises Refused."""
    rows = session.exec(_query().where(AuditRow.number == number)).all()
    if not rows:
        raise not_there("line of the audit")
    return _entries(session, is_kept, rows, slice(first, first + CELLS_PAGE))[0]


def _query() -> Any:
    return select(AuditRow, SlideRow.slide_id).join(SlideRow, col(SlideRow.id) == col(AuditRow.slide), isouter=True)


def _entries(
    session: Session, is_kept: Callable[[str], bool], rows: Sequence[tuple[AuditRow, str | None]], cells: slice
) -> list[Entry]:
    moves = trail_cells.moves(session, [row for row, _ in rows], is_kept, cells)
    found = []
    for row, name in rows:
        total = trail_cells.count(row)
        more = max(total - cells.stop, 0)
        # The groups say it all, unless there are cells that are not in them.
        what = "" if moves[row.number] and total <= cells.stop and not cells.start else in_words(row)
        found.append(
            Entry(
                row.number, row.at, row.who, row.role, row.action, row.slide, name, what, moves[row.number], total,
                more, signed_numbers(row), row.reason, row.bundle, row.hash,
            )
        )  # fmt: skip
    return found


def signed_numbers(row: AuditRow) -> SignedNumbers | None:
    """The numbers of a signing line; None for any other."""
    result = (row.after or {}).get("result")
    if not isinstance(result, dict) or "counts" not in result:
        return None
    percent, ci95, absolute = (result.get(name) or {} for name in ("percent", "ci95", "absolute"))
    types = [
        SignedType(
            t, result["counts"].get(t, 0), percent.get(t), tuple(ci95[t]) if t in ci95 else None, absolute.get(t)
        )
        for t in CELL_TYPES
    ]  # fmt: skip
    kinds = [(shown(*name.split(":", 1)), n) for name, n in (result.get("kinds") or {}).items()]
    return SignedNumbers(types, result.get("outside", 0), kinds, withheld=not percent)


def in_words(row: AuditRow) -> str:
    """What was before and what is after, in a phrase."""
    before, after = row.before or {}, row.after or {}
    if isinstance(after.get("cells"), list):
        return _cells(before.get("cells", []), after["cells"])
    if "result" in after:
        return {"amended": "amendment signed", "second": "second signature"}.get(after.get("meaning", ""), "signed")
    if "pictures" in after and isinstance(after["pictures"], list):
        return ", ".join(sha256[:12] for sha256 in after["pictures"])
    return _of_action(row.action, before, after)


def _of_action(action: str, before: dict[str, Any], after: dict[str, Any]) -> str:
    if action == PURGED_SLIDES:
        n = len(after["slides"])
        return f"{n} slide{'s' if n != 1 else ''} with {after.get('cells')} cells"
    if action == "comment":
        return f"“{after.get('text')}”{' on a cell' if after.get('cell') else ''}"
    if action == "sidecar changed":
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
