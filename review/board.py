"""The board: slides a page at a time, most urgent first, from the one table that the database keeps for it."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import func
from sqlmodel import Session, col, or_, select, update

from review.search import contains
from review.slide import HELD_FOR
from smear.cells import CELL_TYPES
from smear.review_tables import BoardRow, ReviewRow, SignatureRow, UserRow
from smear.tables import DifferentialRow, RevisionRow, SourceRow, key, utc_now
from smear.tables import SlideRow as Slide


PAGE: Final = 50
STATES: Final = ("failed", "classified", "reviewed", "queued", "arriving", "signed", "listed")
TO_DO: Final = ("failed", "classified", "reviewed")

Show = Literal["todo", "all", "failed", "classified", "reviewed", "queued", "arriving", "signed", "listed"]
Sort = Literal["urgency", "newest", "name"]


@dataclass(frozen=True)
class Line:
    """A slide on the board. `counts` are what was signed, else the model's; None where nothing is there yet."""

    slide: int
    source: str
    urgent: bool
    name: str
    order_id: str | None
    number: int
    state: str
    reason: str | None
    arrived_at: datetime
    working: bool
    total: int | None
    outside: int
    needs_review: int | None
    counts: dict[str, int] | None
    percent: dict[str, float] | None
    remark: str | None
    flags: list[dict[str, Any]]
    holder: str | None
    amending: bool


@dataclass(frozen=True)
class Page:
    """One page of the board."""

    lines: list[Line]
    number: int
    more: bool


def page(
    session: Session,
    *,
    show: Show = "todo",
    search: str = "",
    sort: Sort = "urgency",
    source: int | None = None,
    number: int = 1,
) -> Page:
    """The `number`-th page (from 1) of what `show`, `source` and `search` (slide names, order numbers) let through."""
    query = select(BoardRow)
    if source is not None:
        query = query.where(col(BoardRow.slide).in_(select(Slide.id).where(Slide.source_id == source)))
    if show == "todo":
        query = query.where(col(BoardRow.state).in_(TO_DO))
    elif show != "all":
        query = query.where(BoardRow.state == show)
    if search.strip():
        text = search.strip()
        query = query.where(
            or_(*(contains(column, text) for column in (col(BoardRow.slide_name), col(BoardRow.order_id))))
        )
    match sort:
        case "newest":
            query = query.order_by(col(BoardRow.slide).desc())
        case "name":
            query = query.order_by(col(BoardRow.slide_name), col(BoardRow.slide))
        case _:
            query = query.order_by(col(BoardRow.urgency), col(BoardRow.arrived_at), col(BoardRow.slide))
    rows = session.exec(query.offset((number - 1) * PAGE).limit(PAGE + 1)).all()
    return Page(_lines(session, list(rows[:PAGE])), number, len(rows) > PAGE)


def sources(session: Session) -> list[SourceRow]:
    """Where slides come from, by name."""
    return list(session.exec(select(SourceRow).order_by(col(SourceRow.name))))


def next_to_do(session: Session, person: int, slide: int) -> BoardRow | None:
    """The most urgent slide but this one that waits for a review and that nobody else has; None where all is done."""
    since = utc_now() - HELD_FOR
    held = (
        select(ReviewRow.revision)
        .where(col(ReviewRow.held_by).is_not(None), ReviewRow.held_by != person, col(ReviewRow.held_at) > since)
        .correlate(None)
    )
    return session.exec(
        select(BoardRow)
        .where(
            col(BoardRow.state).in_(["classified", "reviewed"]),
            BoardRow.slide != slide,
            col(BoardRow.revision).not_in(held),
        )
        .order_by(col(BoardRow.urgency), col(BoardRow.arrived_at), col(BoardRow.slide))
        .limit(1)
    ).one_or_none()


def news_of(session: Session, slide: int) -> None:
    """Let open boards look at this line again: who has a slide stands in another table, which no trigger follows."""
    newest = select(func.coalesce(func.max(BoardRow.changed), 0) + 1).correlate(None).scalar_subquery()
    session.execute(update(BoardRow).where(col(BoardRow.slide) == slide).values(changed=newest))


def counts(session: Session) -> dict[str, int]:
    """Slides by state."""
    rows = session.exec(select(BoardRow.state, func.count()).group_by(col(BoardRow.state)))
    found = {state: int(n) for state, n in rows}
    return {state: found.get(state, 0) for state in STATES}


def _lines(session: Session, rows: list[BoardRow]) -> list[Line]:
    revisions = [row.revision for row in rows]
    details = {
        key(r.id): (r.reason, r.claimed_by, s)
        for r, s in session.exec(
            select(RevisionRow, SourceRow)
            .join(Slide, col(Slide.id) == col(RevisionRow.slide))
            .join(SourceRow, col(SourceRow.id) == col(Slide.source_id))
            .where(col(RevisionRow.id).in_(revisions))
        )
    }
    stored = {
        d.revision: d
        for d in session.exec(
            select(DifferentialRow)
            .where(col(DifferentialRow.revision).in_(revisions))
            .order_by(col(DifferentialRow.id))
        )
    }
    signed = {
        s.revision: s.result
        for s in session.exec(
            select(SignatureRow).where(col(SignatureRow.revision).in_(revisions)).order_by(col(SignatureRow.id))
        )
    }
    reviews = {
        r.revision: (r, user)
        for r, user in session.exec(
            select(ReviewRow, UserRow)
            .join(UserRow, col(UserRow.id) == col(ReviewRow.held_by), isouter=True)
            .where(col(ReviewRow.revision).in_(revisions))
        )
    }
    now = utc_now()
    return [
        _line(row, details[row.revision], stored.get(row.revision), signed.get(row.revision),
              reviews.get(row.revision), now)
        for row in rows
        if row.revision in details
    ]  # fmt: skip


def _line(
    row: BoardRow,
    detail: tuple[str | None, str | None, SourceRow],
    stored: DifferentialRow | None,
    signed: dict[str, Any] | None,
    review: tuple[ReviewRow, UserRow | None] | None,
    now: datetime,
) -> Line:
    reason, claimed_by, source = detail
    holder = None
    if review is not None and review[1] is not None and review[0].held_at is not None:
        holder = review[1].full_name if now - review[0].held_at < HELD_FOR else None
    told: dict[str, Any] = {"counts": None, "percent": None, "remark": None, "flags": [], "outside": 0}
    if signed is not None and row.state == "signed":
        told = {name: signed[name] for name in told}
    elif stored is not None:
        told = {
            "counts": {t: getattr(stored, t) for t in CELL_TYPES},
            "percent": stored.percent,
            "remark": stored.remark,
            "flags": stored.flags or [],
            "outside": stored.outside,
        }
    return Line(
        slide=row.slide,
        source=source.name,
        urgent=source.priority > 0 and row.state not in {"signed", "listed"},
        name=row.slide_name,
        order_id=row.order_id,
        number=row.number,
        state=row.state,
        reason=reason,
        arrived_at=row.arrived_at,
        working=claimed_by is not None and row.state == "queued",
        total=None if stored is None else stored.total,
        needs_review=None if stored is None or row.state == "signed" else stored.needs_review,
        holder=holder,
        amending=review is not None and review[0].amending is not None,
        **told,
    )


@dataclass(frozen=True)
class Health:
    """The backlog, and whether anybody works on it: told from rows alone."""

    waiting: int
    working: int
    oldest_seconds: float | None
    last_finished_seconds: float | None
    last_hour: int
    signed_today: int
    problem: str | None


#: Slides that wait for longer than this while nothing is finished mean that no worker takes them.
QUIET_SECONDS: Final = 60.0


def health(session: Session) -> Health:
    """How the machine is doing."""
    now = utc_now()
    states = Counter(counts(session))
    waiting_rows = select(func.min(BoardRow.arrived_at)).where(col(BoardRow.state).in_(["queued", "arriving"]))
    oldest = _age(session.exec(waiting_rows).one(), now)
    working = session.exec(
        select(func.count()).where(RevisionRow.state == "queued", col(RevisionRow.claimed_by).is_not(None))
    ).one()
    newest = session.exec(
        select(DifferentialRow.created_at).order_by(col(DifferentialRow.id).desc()).limit(1)
    ).one_or_none()
    last = _age(newest, now)
    # Rows are numbered in the order they are made: the latest few thousand hold any hour of one laboratory.
    top = session.exec(select(func.max(DifferentialRow.id))).one() or 0
    hour = session.exec(
        select(func.count()).where(
            col(DifferentialRow.id) > top - 5000, col(DifferentialRow.created_at) > now - timedelta(hours=1)
        )
    ).one()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    top = session.exec(select(func.max(SignatureRow.id))).one() or 0
    signed = session.exec(
        select(func.count()).where(
            col(SignatureRow.id) > top - 5000, SignatureRow.meaning != "second", col(SignatureRow.at) >= midnight
        )
    ).one()
    problem = None
    if states["queued"] and not working and (oldest or 0) > QUIET_SECONDS and (last is None or last > QUIET_SECONDS):
        problem = "Slides wait and no worker takes them. The command “worker doctor” says what is wrong."
    return Health(
        waiting=states["queued"] + states["arriving"],
        working=int(working),
        oldest_seconds=oldest,
        last_finished_seconds=last,
        last_hour=int(hour),
        signed_today=int(signed),
        problem=problem,
    )


def _age(then: datetime | None, now: datetime) -> float | None:
    return None if then is None else max((now - then).total_seconds(), 0.0)
