"""Nights and their stages as rows: which comes next, what the earlier ones told, and why there is no challenger."""

from collections.abc import Callable
from datetime import date
from typing import Any, Final

from sqlmodel import Session, col, select

from smear.lease import Lease
from smear.nightly_tables import RunRow
from smear.plain import PlainError
from smear.review_tables import MAX_TEXT
from smear.store import Store
from smear.tables import utc_now


#: In this order, each in its room: the trainer's but for `build`, which is engine_build's.
STAGES: Final = ("collect", "train", "build", "judge", "offer")
#: The lease under which all stages of all nights run.
LEASE: Final = "nightly"
#: A stage that broke off so often is given up.
MAX_ATTEMPTS: Final = 5
#: The Celery tasks by which the rooms hand a night on.
GO_ON: Final = "trainer.nightly"
BUILD: Final = "engine_build.nightly"


#: Begins the names of nights' challengers.
OF_A_NIGHT: Final = "nightly-"


class Enough(PlainError):
    """The night ends here without a challenger, and that is right; its text says why."""


def latest(session: Session) -> list[RunRow]:
    """The stages of the latest night, in order; empty before the first."""
    night = session.exec(select(RunRow.night).order_by(col(RunRow.id).desc()).limit(1)).first()
    return [] if night is None else stages(session, night)


def stages(session: Session, night: str) -> list[RunRow]:
    """The stages of a night, in order."""
    rows = {row.stage: row for row in session.exec(select(RunRow).where(RunRow.night == night))}
    return [rows[stage] for stage in STAGES if stage in rows]


def next_stage(rows: list[RunRow]) -> RunRow | None:
    """The stage to do next; None where the night is over."""
    for row in rows:
        if row.state in {"ended", "failed"}:
            return None
        if row.state != "done":
            return row
    return None


def begin(store: Store, today: date, *, again: bool) -> str | None:
    """The night to go on with: one that is unfinished, else a new one of that date.

    None where the date has had its night, unless `again`.
    """
    with store.write() as session:
        rows = latest(session)
        if next_stage(rows) is not None:
            return rows[0].night
        base = today.isoformat()
        had = {night for night in session.exec(select(RunRow.night)) if night == base or night.startswith(f"{base}.")}
        if had and not again:
            return None
        name = base if not had else f"{base}.{len(had) + 1}"
        now = utc_now()
        for stage in STAGES:
            session.add(RunRow(night=name, stage=stage, created_at=now))
            session.flush()  # in this order: the row numbers tell which night is the latest
        return name


def told(store: Store, night: str) -> dict[str, dict[str, Any]]:
    """What each finished stage of a night told."""
    with store.read() as session:
        return {row.stage: row.told or {} for row in stages(session, night) if row.state == "done"}


def do(store: Store, lease: Lease, night: str, stage: str, work: Callable[[], dict[str, Any]]) -> bool:
    """Do one stage under the lease; whether the night goes on. What breaks off stays `running`, to be done again.

    `work` returns what the stage tells; it raises Enough to end the night, PlainError where it cannot be done.
    """
    with store.write() as session:
        lease.check(session)
        row = _row(session, night, stage)
        row.state, row.token, row.started_at = "running", lease.token, utc_now()
        row.attempts += 1
        attempts = row.attempts
        session.add(row)
    if attempts > MAX_ATTEMPTS:
        _end(store, lease, night, stage, "failed", f"the stage {stage} broke off {MAX_ATTEMPTS} times", None)
        return False
    try:
        result = work()
    except Enough as enough:
        _end(store, lease, night, stage, "ended", str(enough), None)
        return False
    except PlainError as error:
        _end(store, lease, night, stage, "failed", str(error), None)
        return False
    _end(store, lease, night, stage, "done", None, result)
    return True


def outcome(rows: list[RunRow]) -> str | None:
    """Why a night has no challenger, or that it is still at work; None where it has come to its end."""
    for row in rows:
        if row.state in {"ended", "failed"}:
            return row.reason
        if row.state != "done":
            return f"the night of {row.night} is at the stage {row.stage} ({row.state})"
    return None


def _row(session: Session, night: str, stage: str) -> RunRow:
    return session.exec(select(RunRow).where(RunRow.night == night, RunRow.stage == stage)).one()


def _end(
    store: Store, lease: Lease, night: str, stage: str, state: str, reason: str | None, result: dict[str, Any] | None
) -> None:
    with store.write() as session:
        lease.check(session)
        row = _row(session, night, stage)
        row.state, row.finished_at, row.told = state, utc_now(), result
        row.reason = None if reason is None else reason[:MAX_TEXT]
        session.add(row)
