"""Alembic's entry: runs the versions beside it on the store it is handed."""

from alembic import context
from sqlmodel import SQLModel

import smear.nightly_tables  # noqa: F401 - fills the metadata, and the other tables with it


def _run() -> None:
    store = context.config.attributes["store"]
    with store.engine.connect().execution_options(wnet_write=True) as connection:
        context.configure(
            connection=connection, target_metadata=SQLModel.metadata, render_as_batch=True, compare_type=True
        )
        with context.begin_transaction():
            context.run_migrations()


_run()
