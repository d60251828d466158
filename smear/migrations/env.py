"""Alembic's entry: runs the versions beside it on the store it is handed.

On SQLite foreign keys are off meanwhile, since a version may rebuild a table that others refer to, and are checked as a
whole at the end of each version, in its transaction.
"""

from typing import Any

from alembic import context
from alembic.runtime.migration import MigrationContext
from sqlmodel import SQLModel

import smear.nightly_tables  # noqa: F401 - fills the metadata, and the other tables with it
from smear.plain import PlainError


class BrokenReferences(PlainError):
    """Rows refer to rows that do not exist; the version is not applied."""


def _run() -> None:
    store = context.config.attributes["store"]
    on_sqlite = store.engine.dialect.name == "sqlite"
    with store.engine.connect().execution_options(wnet_write=True) as connection:
        if on_sqlite:
            # On the driver's connection: within a transaction, which SQLAlchemy begins by itself, this does nothing.
            connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")
        context.configure(
            connection=connection, target_metadata=SQLModel.metadata, render_as_batch=True, compare_type=True,
            on_version_apply=_check_foreign_keys if on_sqlite else None,
        )  # fmt: skip
        try:
            with context.begin_transaction():
                context.run_migrations()
        finally:
            if on_sqlite:
                connection.invalidate()  # so that no later session works without foreign keys


def _check_foreign_keys(ctx: MigrationContext, step: Any, heads: Any, run_args: Any) -> None:
    """Raises BrokenReferences, within the version's transaction."""
    del step, heads, run_args
    assert ctx.connection is not None
    if broken := ctx.connection.exec_driver_sql("PRAGMA foreign_key_check").all():
        raise BrokenReferences(
            f"the database is not migrated: {len(broken)} rows refer to rows that do not exist, the first in the table "
            f"{broken[0][0]}; nothing was changed"
        )


_run()
