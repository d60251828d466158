"""Many rows in one go, harmless where they are there already: one prepared statement, whatever their number."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, SQLModel


def insert_missing(
    session: Session, table: type[SQLModel], rows: Sequence[dict[str, Any]], *, unique: Iterable[str]
) -> None:
    """Insert the rows whose `unique` columns are not there yet.

    Give them in one order everywhere: two transactions that insert the same rows then wait for each other only once.
    """
    if rows:
        session.execute(inserting(session, table).on_conflict_do_nothing(index_elements=list(unique)), list(rows))


def insert_or_update(
    session: Session, table: type[SQLModel], rows: Sequence[dict[str, Any]], *, unique: Iterable[str]
) -> None:
    """Insert the rows; where the `unique` columns are there already, bring the others up to date."""
    if not rows:
        return
    unique = list(unique)
    statement = inserting(session, table)
    fresh = {name: statement.excluded[name] for name in rows[0] if name not in unique}
    session.execute(statement.on_conflict_do_update(index_elements=unique, set_=fresh), list(rows))


def inserting(session: Session, table: type[SQLModel]) -> Any:
    """This database's INSERT into a table, which can say what is to happen on a conflict."""
    kind: Any = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    # The bare table: the ORM's bulk insert would look at every row by itself.
    return kind.insert(table.__table__)  # type: ignore[attr-defined]
