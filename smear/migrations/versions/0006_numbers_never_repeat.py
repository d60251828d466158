"""Numbers never repeat: rows removed by a purge leave their numbers unused, and a revision has an identity of its own.

On SQLite a table without AUTOINCREMENT gives the number of its newest row out again once that row is deleted, so every
numbered table is rebuilt with it. The board's counter was the largest number on the board plus one, with the same
fault; it is a sequence now. `revisions.identity` is random: pages and optimistic locks name a revision by it.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op


revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

#: Every table whose `id` the database counts.
_NUMBERED = (
    "bundles", "sources", "slides", "cells", "revisions", "differentials", "pictures", "predictions", "users",
    "sessions", "reviews", "labels", "changes", "signatures", "comments", "reference_cells", "runs", "scorecards",
    "promotions", "drift",
)  # fmt: skip
#: Numbers of deleted rows stand in logs and messages, and mostly nowhere in the database: a database that has been in
#: use goes on this far above what can be found.
_GAP = 1_000_000
#: Columns that name a row without a foreign key: that row may be gone.
_NAMED = {"slides": ("audit.slide",), "revisions": ("audit.revision", "suspects.revision"), "users": ("audit.user",)}

_OLD_NEXT = "(SELECT COALESCE(MAX(changed), 0) + 1 FROM board)"
_BOARD_FUNCTIONS = ("insert", "update", "differential", "source")


def upgrade() -> None:
    """Make row numbers and the identities of optimistic locks unique for good."""
    if op.get_bind().dialect.name == "postgresql":
        _on_postgresql()
    else:
        _on_sqlite()


def _on_postgresql() -> None:
    # Sequences never give a number twice already. The default is evaluated for each row, and goes again: the
    # program makes identities.
    op.add_column("revisions", sa.Column("identity", sa.String(length=32), nullable=False,
                  server_default=sa.text("replace(CAST(gen_random_uuid() AS text), '-', '')")))  # fmt: skip
    op.alter_column("revisions", "identity", server_default=None)
    op.create_unique_constraint(op.f("uq_revisions_identity"), "revisions", ["identity"])
    op.create_index(op.f("ix_cells_sha256"), "cells", ["sha256"], unique=False)
    _board_clock()
    highest = op.get_bind().execute(sa.text("SELECT COALESCE(MAX(changed), 0) FROM board")).scalar_one()
    op.execute(f"SELECT setval('board_clock_id_seq', {int(highest) + 1})")
    for name in _BOARD_FUNCTIONS:
        body = op.get_bind().execute(sa.text(f"SELECT pg_get_functiondef('board_{name}'::regproc)".replace(":", r"\:")))
        op.get_bind().exec_driver_sql(_with(body.scalar_one(), "nextval('board_clock_id_seq')").replace("%", "%%"))


def _on_sqlite() -> None:
    bind = op.get_bind()
    # A table cannot be rebuilt while triggers name it.
    triggers = bind.execute(sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY rowid")).all()
    for name, _ in triggers:
        op.execute(f"DROP TRIGGER {name}")
    op.add_column("revisions", sa.Column("identity", sa.String(length=32), nullable=True))
    op.execute("UPDATE revisions SET identity = lower(hex(randomblob(16)))")
    for table in _NUMBERED:
        with op.batch_alter_table(table, recreate="always", table_kwargs={"sqlite_autoincrement": True}) as batch:
            if table == "revisions":
                batch.alter_column("identity", existing_type=sa.String(length=32), nullable=False)
                batch.create_unique_constraint(op.f("uq_revisions_identity"), ["identity"])
            elif table == "cells":
                batch.create_index(op.f("ix_cells_sha256"), ["sha256"], unique=False)
    _board_clock()
    for _, statement in triggers:
        if _OLD_NEXT in statement:
            statement = _with(statement, "(SELECT MAX(id) FROM board_clock)")  # noqa: PLW2901
            statement = statement.replace("BEGIN", "BEGIN INSERT INTO board_clock (id) VALUES (NULL);", 1)  # noqa: PLW2901
            statement = statement.removesuffix("END") + "DELETE FROM board_clock; END"  # noqa: PLW2901
        bind.exec_driver_sql(statement)
    _count_on(bind)


def _board_clock() -> None:
    """A table that stays empty: its sequence counts the board's changes."""
    op.create_table(
        "board_clock",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_board_clock")),
        sqlite_autoincrement=True,
    )


def _with(statement: str, following: str) -> str:
    assert _OLD_NEXT in statement, "the board's triggers are not those of this program"
    return statement.replace(_OLD_NEXT, following)


def _count_on(bind: Any) -> None:
    """Let each table's numbers go on above every number that it may have given out."""
    used = bind.execute(sa.text("SELECT EXISTS (SELECT 1 FROM sources) OR EXISTS (SELECT 1 FROM audit)")).scalar_one()
    highest = {table: f"SELECT COALESCE(MAX(id), 0) FROM {table}" for table in _NUMBERED}
    highest["board_clock"] = "SELECT COALESCE(MAX(changed), 0) FROM board"
    for table, query in highest.items():
        named = [bind.execute(sa.text(query)).scalar_one()]
        for other, _, column in (where.partition(".") for where in _NAMED.get(table, ())):
            named.append(bind.execute(sa.text(f'SELECT COALESCE(MAX("{column}"), 0) FROM {other}')).scalar_one())
        bind.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table})
        start = {"name": table, "seq": int(max(named)) + (_GAP if used else 0)}
        bind.execute(sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :seq)"), start)
