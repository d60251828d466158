"""What `worker status` says of gaps: slides that are not complete, files that no slide takes, pictures not kept."""

from typing import Any, Final

from sqlalchemy import func
from sqlmodel import Session, col, select

from smear.gaps import RECENT, ignored_total, recently_finished
from smear.gaps import pictures_not_kept as count_not_kept
from smear.report import FINISHED
from smear.settings import Settings
from smear.store import Store, schema_problem
from smear.tables import DifferentialRow, IgnoredFileRow, RevisionRow, SourceRow
from worker.keeping import folder_problem


_EXAMPLES: Final = 5


def gaps(session: Session) -> dict[str, Any]:
    """The keys `incomplete`, `ignored` and `pictures_not_kept` of the state of the whole."""
    return {"incomplete": _incomplete(session), "ignored": _ignored(session), "pictures_not_kept": _not_kept(session)}


def attention(told: dict[str, Any], settings: Settings) -> list[str]:
    """What of these gaps a person should look at: pictures that are not kept, and why where that is known."""
    said = []
    lost, problem = told["pictures_not_kept"], folder_problem(settings)
    if lost["pictures"]:
        said.append(
            f"{not_kept_words(lost)}: see `worker doctor`; they are filled in while the drop folder still has them"
        )
    if problem is not None and any(told["slides"].get(state) for state in FINISHED):
        said.append(problem)
    return said


def not_kept_words(lost: dict[str, int]) -> str:
    """As "120 pictures of 3 slides could not be kept"."""
    pictures, slides = (f"{lost[name]} {name[:-1] if lost[name] == 1 else name}" for name in ("pictures", "slides"))
    return f"{pictures} of {slides} could not be kept"


def pictures_not_kept(settings: Settings) -> dict[str, int] | None:
    """As the key of that name; None where there is no database of this version. Raises StoreUnavailable."""
    store = Store(settings.database)
    try:
        if schema_problem(store) is not None:
            return None
        with store.read() as session:
            return _not_kept(session)
    finally:
        store.close()


def _incomplete(session: Session) -> dict[str, int]:
    """Slides finished of late with fewer picture files than were announced."""
    expected = col(RevisionRow.sidecar)["expected_cells"].as_integer()
    files = func.coalesce(col(DifferentialRow.files), col(DifferentialRow.total))
    query = (
        select(func.count(func.distinct(RevisionRow.id)))
        .join(DifferentialRow, col(DifferentialRow.revision) == col(RevisionRow.id))
        .where(*recently_finished(), col(RevisionRow.state).in_(FINISHED), expected > files)
    )
    return {"slides": int(session.exec(query).one()), "days": RECENT.days}


def _ignored(session: Session) -> dict[str, Any]:
    """How many files no slide takes, and the first of them."""
    rows = session.exec(
        select(SourceRow.name, IgnoredFileRow)
        .join(IgnoredFileRow, col(IgnoredFileRow.source) == col(SourceRow.id))
        .order_by(col(IgnoredFileRow.first_seen_at), col(IgnoredFileRow.path))
        .limit(_EXAMPLES)
    )
    examples = [{"source": source, "file": row.path, "reason": row.reason} for source, row in rows]
    return {"files": ignored_total(session), "examples": examples}


def _not_kept(session: Session) -> dict[str, int]:
    slides, pictures = count_not_kept(session)
    return {"slides": slides, "pictures": pictures}
