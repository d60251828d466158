"""What is going on: slides by state, the backlog and its oldest, quarantine, last scans, broker, database, disk."""

import os
from datetime import datetime, timedelta
from typing import Any, Final

from celery import Celery
from sqlalchemy import func
from sqlmodel import Session, col, select

from smear import runs
from smear.installation import explained
from smear.nightly_packages import learning
from smear.settings import Settings
from smear.store import Store, StoreUnavailable, schema_problem
from smear.tables import RevisionRow, SlideRow, SourceRow, SuspectRow, is_latest_revision, utc_now
from worker import drift, gaps, serving_check
from worker.broker_state import look_at_broker
from worker.models import serving
from worker.queue import SpoiltQueue, depth
from worker.room import free_bytes, short_of_room


#: A picture in quarantine is news for this long; it may stay there for good, and nobody shall get used to an alarm.
NEWS_DAYS: Final = 7
#: A watcher has gone when it has missed so many scans, and a little more.
MISSED_SCANS: Final = 3
SLACK_SECONDS: Final = 60.0
#: Slides wait and none has been finished for this many times the longest that a worker may stand still.
STALLS: Final = 2


def status(store: Store, settings: Settings, app: Celery) -> dict[str, Any]:
    """The state of the whole, as one JSON object. `needs_attention` lists what a person should look at."""
    attention: list[str] = []
    try:
        waiting = depth(app)
    except SpoiltQueue:
        waiting = None  # which key it is, the look at the broker says
    broker = look_at_broker(app)
    attention += broker.problems
    told: dict[str, Any] = {
        "sources": [
            {
                "name": s.name,
                "drop": str(s.root),
                "layout": s.layout,
                "geometry": s.geometry,
                "there": os.path.isdir(s.root),  # noqa: PTH112 - False too where the share only stumbles
                "scanned_seconds_ago": None,
            }
            for s in settings.sources
        ],
        "broker": {"answers": broker.answers, "waiting": waiting, **broker.faults},
        "disk": _disk(settings),
        "engine": settings.engine,
        "precision": settings.precision,
        "learning": learning(settings.nightly_at),
    }
    attention += [f"the drop folder {s['drop']} is not there" for s in told["sources"] if not s["there"]]
    if (short := short_of_room(settings)) is not None:
        attention.append(
            f"{short[1] // 2**20} MB are free at {short[0]}, fewer than {settings.disk_reserve_mb}: "
            "no slide is classified here until there is room"
        )
    try:
        problem = schema_problem(store)
        problem = None if problem is None else explained(problem, settings)
        told["database"] = {"answers": True, "problem": problem}
        if problem is None:
            with store.read() as session:
                told |= _slides(session) | gaps.gaps(session)
                _scans(session, told["sources"])
                attention += _news(session, told, settings) + gaps.attention(told, settings)
                attention += serving_check.why_slides_wait(session, told, settings)
                unusual = [alarm.sentence for alarm in drift.current(session)]
                told["drift"] = {"days": drift.days(session), "alarms": unusual}
                told["night"] = _night(session)
                attention += unusual
            named = serving(store)
            told["bundle"] = named[0] if named else None
        else:
            attention.append(problem)
    except StoreUnavailable as error:
        told["database"] = {"answers": False, "problem": str(error)}
        attention.append(f"the database does not answer: {error}")
    return told | {"needs_attention": attention}


def _disk(settings: Settings) -> dict[str, Any]:
    free = free_bytes(settings.var)
    return {"free_mb": None if free is None else free // 2**20, "reserve_mb": settings.disk_reserve_mb}


def _slides(session: Session) -> dict[str, Any]:
    latest = select(RevisionRow.state, func.count()).where(is_latest_revision()).group_by(col(RevisionRow.state))
    by_state = {state: int(n) for state, n in session.exec(latest)}
    unfinished = col(RevisionRow.state).in_(["arriving", "queued"])
    oldest = session.exec(
        select(RevisionRow, SlideRow.slide_id, SourceRow.name)
        .join(SlideRow, col(SlideRow.id) == col(RevisionRow.slide))
        .join(SourceRow, col(SourceRow.id) == col(SlideRow.source_id))
        .where(unfinished)
        .order_by(col(RevisionRow.arrived_at), col(RevisionRow.id))
        .limit(1)
    ).first()
    queued = RevisionRow.state == "queued"
    held = select(func.count()).where(queued, col(RevisionRow.claimed_by).is_not(None))
    unpublished = select(func.count()).where(queued, col(RevisionRow.published_at).is_(None))
    again = select(func.count(), func.max(RevisionRow.attempts)).where(unfinished, col(RevisionRow.attempts) > 1)
    retried, most = session.exec(again).one()
    quarantined = select(func.count()).where(col(SuspectRow.quarantined_at).is_not(None))
    return {
        "slides": by_state,
        "backlog": by_state.get("queued", 0),
        "working_on": int(session.exec(held).one()),
        "to_be_queued": int(session.exec(unpublished).one()),
        "tried_again": {"slides": int(retried), "most_attempts": int(most or 0)},
        "quarantine": int(session.exec(quarantined).one()),
        "oldest_unfinished_seconds": None if oldest is None else _age_seconds(oldest[0].arrived_at),
        "oldest_unfinished": None
        if oldest is None
        else {
            "source": oldest[2],
            "slide_id": oldest[1],
            "state": oldest[0].state,
            "attempts": oldest[0].attempts,
            "deaths": oldest[0].deaths,
        },
    }


def _night(session: Session) -> dict[str, Any] | None:
    """The latest night: where it stands, or why it left no challenger."""
    rows = runs.latest(session)
    if not rows:
        return None
    return {"night": rows[0].night, "stages": {row.stage: row.state for row in rows}, "reason": runs.outcome(rows)}


def _scans(session: Session, sources: list[dict[str, Any]]) -> None:
    scanned = dict(session.exec(select(SourceRow.name, SourceRow.scanned_at)).all())
    for source in sources:
        source["scanned_seconds_ago"] = _age_seconds(scanned.get(source["name"]))


def _news(session: Session, told: dict[str, Any], settings: Settings) -> list[str]:
    """What the rows say that a person should look at."""
    said = []
    if failed := told["slides"].get("failed", 0):
        said.append(f"{failed} failed: see `worker results`, then `worker retry --failed`")
    since = utc_now() - timedelta(days=NEWS_DAYS)
    new = int(session.exec(select(func.count()).where(col(SuspectRow.quarantined_at) >= since)).one())
    if new:
        said.append(f"{new} pictures went into quarantine within {NEWS_DAYS} days: see `worker quarantine list`")
    watched = set(session.exec(select(SourceRow.name).where(col(SourceRow.watched_by).is_not(None))))
    said += [
        f"{source['name']} was never scanned: is a watcher running?"
        for source in told["sources"]
        if source["there"] and source["scanned_seconds_ago"] is None and source["name"] not in watched
    ]
    late = MISSED_SCANS * settings.scan_seconds + SLACK_SECONDS
    said += [
        f"{source['name']} was last scanned {source['scanned_seconds_ago']:.0f} s ago: is a watcher running?"
        for source in told["sources"]
        if source["there"] and (source["scanned_seconds_ago"] or 0) > late
    ]
    stuck_seconds = STALLS * settings.stall_seconds
    settled = select(func.min(RevisionRow.settled_at)).where(RevisionRow.state == "queued")
    waiting = _age_seconds(session.exec(settled).one())
    finished = _age_seconds(session.exec(select(func.max(RevisionRow.finished_at))).one())
    idle_seconds = min(x for x in (waiting or 0.0, finished) if x is not None)
    if idle_seconds > stuck_seconds:
        said.append(
            f"{told['backlog']} wait, and none was finished for {idle_seconds:.0f} s: "
            "is a worker running, and does it take slides?"
        )
    return said


def _age_seconds(then: datetime | None) -> float | None:
    return None if then is None else round(max((utc_now() - then).total_seconds(), 0.0), 1)
