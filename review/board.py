"""The board: slides a page at a time, most urgent first, from the one table that the database keeps for it."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final, Literal

from sqlalchemy import func
from sqlmodel import Session, col, or_, select, update

from review.board_lines import Line, lines
from review.search import contains
from review.slide import HELD_FOR, Rules
from smear.review_tables import BoardClockRow, BoardRow, ReviewRow, SignatureRow
from smear.tables import DifferentialRow, RevisionRow, SourceRow, key, utc_now
from smear.tables import SlideRow as Slide


PAGE: Final = 50
STATES: Final = ("failed", "classified", "reviewed", "queued", "arriving", "signed", "listed")
TO_DO: Final = ("failed", "classified", "reviewed")

Show = Literal["todo", "all", "failed", "classified", "reviewed", "queued", "arriving", "signed", "listed"]
Sort = Literal["urgency", "newest", "name"]


@dataclass(frozen=True)
class Page:
    """One page of the board."""

    lines: list[Line]
    number: int
    more: bool


def page(
    session: Session,
    rules: Rules,
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
    return Page(lines(session, rules, list(rows[:PAGE])), number, len(rows) > PAGE)


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
    tick = BoardClockRow()
    session.add(tick)
    session.flush()
    session.execute(update(BoardRow).where(col(BoardRow.slide) == slide).values(changed=key(tick.id)))
    session.delete(tick)


def counts(session: Session) -> dict[str, int]:
    """Slides by state."""
    rows = session.exec(select(BoardRow.state, func.count()).group_by(col(BoardRow.state)))
    found = {state: int(n) for state, n in rows}
    return {state: found.get(state, 0) for state in STATES}


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


def health(session: Session, zone: tzinfo = UTC) -> Health:
    """How the machine is doing; a day begins at midnight in `zone`."""
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
    midnight = datetime.combine(now.astimezone(zone).date(), time(), zone).astimezone(UTC)
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
