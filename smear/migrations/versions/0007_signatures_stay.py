"""Signatures stay as they were written: the database refuses to change, delete or replace one, as with the audit.

SQLite's INSERT OR REPLACE deletes the old row without firing a DELETE trigger, so an INSERT trigger refuses it, for the
audit too.
"""

from alembic import op


revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_SIGNATURES = "a signature stays as it was written"
_AUDIT = "the audit is append-only"


def upgrade() -> None:
    """Add the triggers."""
    if op.get_bind().dialect.name == "postgresql":
        _postgresql_triggers()
    else:
        _sqlite_triggers()


def _sqlite_triggers() -> None:
    for act in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER signatures_no_{act.lower()} BEFORE {act} ON signatures "
            f"BEGIN SELECT RAISE(ABORT, '{_SIGNATURES}'); END"
        )
    for table, number, words in (("signatures", "id", _SIGNATURES), ("audit", "number", _AUDIT)):
        op.execute(
            f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "
            f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {number} = NEW.{number}) "
            f"BEGIN SELECT RAISE(ABORT, '{words}'); END"
        )


def _postgresql_triggers() -> None:
    op.execute(
        "CREATE FUNCTION signatures_stay() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_SIGNATURES}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER signatures_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON signatures"
        " FOR EACH STATEMENT EXECUTE FUNCTION signatures_stay()"
    )
