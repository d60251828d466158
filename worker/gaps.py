"""What `worker status` says of gaps: slides that are not complete, files that no slide takes, pictures not kept."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import func
from sqlmodel import Session, col, select

from smear.tables import DifferentialRow, IgnoredFileRow, RevisionRow, SourceRow, is_latest_revision, utc_now


#: Slides that finished within so long are counted: what is older has been seen, or never will be.
RECENT_DAYS: Final = 7
_FINISHED: Final = ("classified", "reviewed", "signed")
_EXAMPLES: Final = 5


def gaps(session: Session) -> dict[str, Any]:
    """The keys `incomplete`, `ignored` and `pictures_not_kept` of the state of the whole."""
    return {"incomplete": _incomplete(session), "ignored": _ignored(session), "pictures_not_kept": _not_kept(session)}


def _recent() -> tuple[Any, ...]:
    since = utc_now() - timedelta(days=RECENT_DAYS)
    return (col(RevisionRow.finished_at) >= since, col(RevisionRow.state).in_(_FINISHED), is_latest_revision())


def _incomplete(session: Session) -> dict[str, int]:
    """Slides finished of late with fewer picture files than were announced."""
    expected = col(RevisionRow.sidecar)["expected_cells"].as_integer()
    files = func.coalesce(col(DifferentialRow.files), col(DifferentialRow.total))
    query = (
        select(func.count(func.distinct(RevisionRow.id)))
        .join(DifferentialRow, col(DifferentialRow.revision) == col(RevisionRow.id))
        .where(*_recent(), expected > files)
    )
    return {"slides": int(session.exec(query).one()), "days": RECENT_DAYS}


def _ignored(session: Session) -> dict[str, Any]:
    """How many files no slide takes, and the first of them."""
    total = session.exec(select(func.coalesce(func.sum(SourceRow.ignored), 0))).one()
    rows = session.exec(
        select(SourceRow.name, IgnoredFileRow)
        .join(IgnoredFileRow, col(IgnoredFileRow.source) == col(SourceRow.id))
        .order_by(col(IgnoredFileRow.first_seen_at), col(IgnoredFileRow.path))
        .limit(_EXAMPLES)
    )
    examples = [{"source": source, "file": row.path, "reason": row.reason} for source, row in rows]
    return {"files": int(total), "examples": examples}


def _not_kept(session: Session) -> dict[str, int]:
    """Pictures of slides finished of late that WNET_PICTURES lacks."""
    slides, pictures = session.exec(
        select(func.count(), func.coalesce(func.sum(RevisionRow.not_kept), 0)).where(
            *_recent(), col(RevisionRow.not_kept) > 0
        )
    ).one()
    return {"slides": int(slides), "pictures": int(pictures)}
