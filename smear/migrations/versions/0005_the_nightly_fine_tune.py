"""The nightly fine-tune: runs and their lease, the laboratory's split, scorecards, promotions, drift."""

from typing import Any

import sqlalchemy as sa
from alembic import op


revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _time(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _json(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.JSON(none_as_null=True) if nullable else sa.JSON(), nullable=nullable)


def _text(name: str, length: int, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.String(length=length), nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), nullable=nullable)


def _foreign(table: str, column: str, other: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{other}.id"], name=op.f(f"fk_{table}_{column}_{other}"))


def _table(name: str, *columns: sa.schema.SchemaItem, primary: str = "id") -> None:
    op.create_table(name, *columns, sa.PrimaryKeyConstraint(primary, name=op.f(f"pk_{name}")))


def upgrade() -> None:
    """Make the tables."""
    _table(
        "runs",
        _number("id"), _text("night", 32), _text("stage", 16), _text("state", 16), _text("reason", 2000, nullable=True),
        _json("told", nullable=True), _number("token"), _number("attempts"), _time("created_at"),
        _time("started_at", nullable=True), _time("finished_at", nullable=True),
        sa.UniqueConstraint("night", "stage", name=op.f("uq_runs_night_stage")),
    )  # fmt: skip
    _table(
        "leases", _text("name", 32), _text("holder", 160, nullable=True), _number("token"), _number("beat"),
        primary="name",
    )  # fmt: skip
    _table("lab_cells", _text("sha256", 64), _text("role", 8), _text("night", 32), primary="sha256")
    op.create_index(op.f("ix_lab_cells_night"), "lab_cells", ["night"], unique=False)
    _table(
        "scorecards",
        _number("id"), _text("night", 32), _number("bundle", nullable=True), _text("challenger", 80),
        _text("champion", 80), sa.Column("passed", sa.Boolean(), nullable=False), _text("reason", 2000), _json("card"),
        _time("at"), _foreign("scorecards", "bundle", "bundles"),
        sa.UniqueConstraint("night", name=op.f("uq_scorecards_night")),
    )  # fmt: skip
    _table(
        "promotions",
        _number("id"), _number("bundle"), _number("before"), _text("kind", 16), _text("who", 64),
        _text("reason", 2000), _time("at"), sa.Column("undone", sa.Boolean(), nullable=False),
        _foreign("promotions", "bundle", "bundles"), _foreign("promotions", "before", "bundles"),
    )  # fmt: skip
    _table(
        "drift",
        _number("id"), _text("day", 10), _number("source"), _number("bundle"), _number("cells"), _json("mix"),
        sa.Column("confidence", sa.Float(), nullable=False), sa.Column("outside", sa.Float(), nullable=False),
        _json("colour", nullable=True),
        _foreign("drift", "source", "sources"), _foreign("drift", "bundle", "bundles"),
        sa.UniqueConstraint("day", "source", "bundle", name=op.f("uq_drift_day_source_bundle")),
    )  # fmt: skip
    op.create_index(op.f("ix_drift_day"), "drift", ["day"], unique=False)
