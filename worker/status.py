"""What is going on: how many slides in which state, the backlog's oldest, broker, database, bundle."""

from datetime import datetime
from typing import Any

from celery import Celery
from sqlalchemy import func
from sqlmodel import col, select

from smear.settings import Settings
from smear.store import Store, StoreUnavailable, schema_problem
from smear.tables import RevisionRow, is_latest_revision, utc_now
from worker.models import serving
from worker.queue import depth


def status(store: Store, settings: Settings, app: Celery) -> dict[str, Any]:
    """The state of the whole, as one JSON object. `needs_attention` lists what a person should look at."""
    attention: list[str] = []
    waiting = depth(app)
    if waiting is None:
        attention.append("the broker does not answer; slides wait in the database")
    told: dict[str, Any] = {
        "sources": [
            {"name": s.name, "drop": str(s.root), "layout": s.layout, "geometry": s.geometry, "there": s.root.is_dir()}
            for s in settings.sources
        ],
        "broker": {"answers": waiting is not None, "waiting": waiting},
    }
    attention += [f"the drop folder {s['drop']} is not there" for s in told["sources"] if not s["there"]]
    try:
        problem = schema_problem(store)
        told["database"] = {"answers": True, "problem": problem}
        if problem is None:
            told |= _slides(store)
            named = serving(store)
            told["bundle"] = named[0] if named else None
        else:
            attention.append(problem)
    except StoreUnavailable as error:
        told["database"] = {"answers": False, "problem": str(error)}
        attention.append(f"the database does not answer: {error}")
    failed = told.get("slides", {}).get("failed", 0)
    if failed:
        attention.append(f"{failed} failed: see `worker results`, then `worker retry --failed`")
    return told | {"needs_attention": attention}


def _slides(store: Store) -> dict[str, Any]:
    with store.read() as session:
        latest = select(RevisionRow.state, func.count()).where(is_latest_revision()).group_by(col(RevisionRow.state))
        by_state = {state: int(n) for state, n in session.exec(latest)}
        unfinished = col(RevisionRow.state).in_(["arriving", "queued"])
        oldest = session.exec(select(func.min(RevisionRow.arrived_at)).where(unfinished)).one()
        held = session.exec(
            select(func.count()).where(RevisionRow.state == "queued", col(RevisionRow.claimed_by).is_not(None))
        ).one()
        unpublished = session.exec(
            select(func.count()).where(RevisionRow.state == "queued", col(RevisionRow.published_at).is_(None))
        ).one()
    return {
        "slides": by_state,
        "working_on": int(held),
        "to_be_queued": int(unpublished),
        "oldest_unfinished_seconds": _age_seconds(oldest),
    }


def _age_seconds(then: datetime | None) -> float | None:
    return None if then is None else round(max((utc_now() - then).total_seconds(), 0.0), 1)
