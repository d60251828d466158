"""The review page: users, labels, signatures, comments, audit; by triggers the board, and what an audit refuses.

Triggers, because slides, revisions and differentials are written by several rooms and by hand: the board is true
whoever writes, and a line of the audit stays whoever tries.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op


revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

#: Smaller is more urgent: what waits for a person first, flagged before not, then what machines do, then what is done.
#: A source of higher priority comes before its equals, and stays behind the next more urgent state.
_RANK = """CASE {state} WHEN 'signed' THEN 80 WHEN 'listed' THEN 90 ELSE CASE {state}
    WHEN 'failed' THEN 0
    WHEN 'classified' THEN CASE WHEN {flagged} > 0 THEN 10 ELSE 20 END
    WHEN 'reviewed' THEN 30 WHEN 'queued' THEN 40 ELSE 50 END - (
        SELECT CASE WHEN priority > 0 THEN 4 WHEN priority < 0 THEN -4 ELSE 0 END
        FROM sources WHERE id = (SELECT source_id FROM slides WHERE id = {slide})) END"""

_NEXT = "(SELECT COALESCE(MAX(changed), 0) + 1 FROM board)"


def _time(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _json(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.JSON(none_as_null=True) if nullable else sa.JSON(), nullable=nullable)


def _foreign(table: str, column: str, other: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{other}.id"], name=op.f(f"fk_{table}_{column}_{other}"))


def _text(name: str, length: int | None = None, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.String(length=length), nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), nullable=nullable)


def _table(name: str, *columns: sa.schema.SchemaItem, primary: str = "id") -> None:
    op.create_table(name, *columns, sa.PrimaryKeyConstraint(primary, name=op.f(f"pk_{name}")))


def _index(table: str, column: str) -> None:
    op.create_index(op.f(f"ix_{table}_{column}"), table, [column], unique=False)


def upgrade() -> None:
    """Make the tables, then the triggers, then fill the board from what is there."""
    _people()
    _reviews()
    _audit_and_board()
    if op.get_bind().dialect.name == "postgresql":
        _postgresql_triggers()
    else:
        _sqlite_triggers()
    _fill_board()


def _people() -> None:
    _table(
        "users",
        _number("id"), _text("name", 64), _text("full_name", 120), _text("role", 16), _text("password_hash"),
        sa.Column("must_change", sa.Boolean(), nullable=False), sa.Column("active", sa.Boolean(), nullable=False),
        _time("created_at"),
        sa.UniqueConstraint("name", name=op.f("uq_users_name")),
    )  # fmt: skip
    _table(
        "sessions",
        _number("id"), _text("token_sha256", 64), _number("user"), _time("created_at"), _time("seen_at"),
        _foreign("sessions", "user", "users"),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_sessions_token_sha256")),
    )  # fmt: skip
    _index("sessions", "user")


def _reviews() -> None:
    _table(
        "reviews",
        _number("id"), _number("revision"), _number("version"), _number("held_by", nullable=True),
        _time("held_at", nullable=True), _text("amending", 2000, nullable=True),
        _foreign("reviews", "revision", "revisions"), _foreign("reviews", "held_by", "users"),
        sa.UniqueConstraint("revision", name=op.f("uq_reviews_revision")),
    )  # fmt: skip
    _table(
        "labels",
        _number("id"), _number("cell"), _text("label", 16, nullable=True), _text("kind", 32, nullable=True),
        _number("user"), _time("at"), _number("revision"), _number("version"),
        _foreign("labels", "cell", "cells"), _foreign("labels", "user", "users"),
        _foreign("labels", "revision", "revisions"),
        sa.UniqueConstraint("cell", name=op.f("uq_labels_cell")),
    )  # fmt: skip
    _index("labels", "revision")
    _table(
        "changes",
        _number("id"), _number("revision"), _number("user"), _time("at"), _json("before"), _json("after"),
        sa.Column("undone", sa.Boolean(), nullable=False), sa.Column("gone", sa.Boolean(), nullable=False),
        _foreign("changes", "revision", "revisions"), _foreign("changes", "user", "users"),
    )  # fmt: skip
    op.create_index("ix_changes_revision_user", "changes", ["revision", "user"], unique=False)
    _table(
        "signatures",
        _number("id"), _number("revision"), _number("user"), _text("role", 16), _text("meaning", 16),
        _text("reason", 2000, nullable=True), _time("at"), _json("result"),
        _foreign("signatures", "revision", "revisions"), _foreign("signatures", "user", "users"),
    )  # fmt: skip
    _index("signatures", "revision")
    _table(
        "comments",
        _number("id"), _number("slide"), _number("revision"), _number("cell", nullable=True), _number("user"),
        _time("at"), _text("text", 2000),
        _foreign("comments", "slide", "slides"), _foreign("comments", "revision", "revisions"),
        _foreign("comments", "cell", "cells"), _foreign("comments", "user", "users"),
    )  # fmt: skip
    _index("comments", "slide")
    _table(
        "reference_cells",
        _number("id"), _number("cell"), _text("label", 16), _text("kind", 32, nullable=True), _number("user"),
        _time("at"),
        _foreign("reference_cells", "cell", "cells"), _foreign("reference_cells", "user", "users"),
        sa.UniqueConstraint("cell", name=op.f("uq_reference_cells_cell")),
    )  # fmt: skip
    _index("reference_cells", "label")
    # All are null in what was classified before: nothing of it is made up afterwards.
    for column in (
        _json("corrected", nullable=True), _json("corrected_ci95", nullable=True),
        _number("needs_review", nullable=True), _json("flags", nullable=True),
    ):  # fmt: skip
        op.add_column("differentials", column)


def _audit_and_board() -> None:
    _table(
        "audit",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False), _time("at"),
        _number("user", nullable=True), _text("who", 64), _text("role", 16), _text("action", 32),
        _number("slide", nullable=True), _number("revision", nullable=True), _json("before", nullable=True),
        _json("after", nullable=True), _text("reason", nullable=True), _text("bundle", 80, nullable=True),
        _json("versions", nullable=True), _text("previous_hash", 64), _text("hash", 64),
        primary="number",
    )  # fmt: skip
    _index("audit", "at")
    _index("audit", "slide")
    _table("audit_head", _number("id"), _number("number"), _text("hash", 64))
    op.execute(f"INSERT INTO audit_head (id, number, hash) VALUES (1, 0, '{'0' * 64}')")
    _table(
        "board",
        sa.Column("slide", sa.Integer(), autoincrement=False, nullable=False), _number("revision"), _number("number"),
        _text("state", 16), _text("slide_name", 255), _text("order_id", 200, nullable=True), _time("arrived_at"),
        _number("flagged"), _number("urgency"), sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("revision", name=op.f("uq_board_revision")),
        primary="slide",
    )  # fmt: skip
    op.create_index("ix_board_urgency_arrived", "board", ["urgency", "arrived_at", "slide"], unique=False)
    op.create_index("ix_board_state_urgency", "board", ["state", "urgency", "arrived_at", "slide"], unique=False)
    _index("board", "changed")


def _statements(order_id: str, flag_count: str) -> dict[str, str]:
    rank = _RANK.format(state="NEW.state", flagged="0", slide="NEW.slide")
    return {
        "insert": f"""
            INSERT INTO board (slide, revision, number, state, slide_name, order_id, arrived_at, flagged, urgency,
                               changed)
            VALUES (NEW.slide, NEW.id, NEW.number, NEW.state, (SELECT slide_id FROM slides WHERE id = NEW.slide),
                    {order_id}, NEW.arrived_at, 0, {rank}, {_NEXT})
            ON CONFLICT (slide) DO UPDATE SET
                revision = excluded.revision, number = excluded.number, state = excluded.state,
                order_id = excluded.order_id, arrived_at = excluded.arrived_at, flagged = 0,
                urgency = excluded.urgency, changed = excluded.changed
            WHERE excluded.number > board.number;""",
        "update": f"""
            UPDATE board SET state = NEW.state, order_id = {order_id},
                urgency = {_RANK.format(state="NEW.state", flagged="flagged", slide="NEW.slide")}, changed = {_NEXT}
            WHERE revision = NEW.id;""",
        "delete": "DELETE FROM board WHERE revision = OLD.id;",
        "differential": f"""
            UPDATE board SET flagged = {flag_count},
                urgency = {_RANK.format(state="state", flagged=flag_count, slide="board.slide")}, changed = {_NEXT}
            WHERE revision = NEW.revision;""",
        "source": f"""
            UPDATE board SET urgency = {_RANK.format(state="state", flagged="flagged", slide="board.slide")},
                changed = {_NEXT}
            WHERE state NOT IN ('signed', 'listed') AND slide IN (SELECT id FROM slides WHERE source_id = NEW.id);""",
    }


def _sqlite_triggers() -> None:
    told = _statements(
        "json_extract(NEW.sidecar, '$.order_id')",
        "(CASE WHEN NEW.flags IS NULL THEN 0 ELSE json_array_length(NEW.flags) END)",
    )
    for name, when, body in (
        ("board_revision_insert", "INSERT ON revisions", told["insert"]),
        (
            "board_revision_update",
            "UPDATE ON revisions WHEN OLD.state IS NOT NEW.state OR OLD.reason IS NOT NEW.reason"
            " OR OLD.sidecar IS NOT NEW.sidecar OR OLD.claimed_by IS NOT NEW.claimed_by",
            told["update"],
        ),
        ("board_revision_delete", "DELETE ON revisions", told["delete"]),
        ("board_differential_insert", "INSERT ON differentials", told["differential"]),
        ("board_differential_update", "UPDATE ON differentials WHEN OLD.flags IS NOT NEW.flags", told["differential"]),
        ("board_source_update", "UPDATE ON sources WHEN OLD.priority IS NOT NEW.priority", told["source"]),
    ):
        op.execute(sa.text(f"CREATE TRIGGER {name} AFTER {when} BEGIN {body} END".replace(":", r"\:")))
    for act in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_no_{act.lower()} BEFORE {act} ON audit "
            "BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END"
        )


def _postgresql_triggers() -> None:
    told = _statements(
        "NEW.sidecar ->> 'order_id'",
        "(CASE WHEN NEW.flags IS NULL THEN 0 ELSE json_array_length(NEW.flags) END)",
    )
    for name, table, events, body in (
        ("insert", "revisions", "INSERT", told["insert"]),
        ("update", "revisions", "UPDATE", told["update"]),
        ("delete", "revisions", "DELETE", told["delete"]),
        ("differential", "differentials", "INSERT OR UPDATE", told["differential"]),
        ("source", "sources", "UPDATE OF priority", told["source"]),
    ):
        op.execute(
            f"CREATE FUNCTION board_{name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NULL; END $$"
        )
        unless = (
            "WHEN ((OLD.state, OLD.reason, OLD.sidecar\\:\\:text, OLD.claimed_by) IS DISTINCT FROM"
            " (NEW.state, NEW.reason, NEW.sidecar\\:\\:text, NEW.claimed_by))"
            if name == "update"
            else ""
        )
        op.execute(
            sa.text(
                f"CREATE TRIGGER board_{name} AFTER {events} ON {table}"
                f" FOR EACH ROW {unless} EXECUTE FUNCTION board_{name}()"
            )
        )
    op.execute(
        "CREATE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit is append-only'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit"
        " FOR EACH STATEMENT EXECUTE FUNCTION audit_stays()"
    )


def _fill_board() -> None:
    order_id = (
        "r.sidecar ->> 'order_id'"
        if op.get_bind().dialect.name == "postgresql"
        else "json_extract(r.sidecar, '$.order_id')"
    )
    rank = _RANK.format(state="r.state", flagged="0", slide="s.id")
    op.execute(
        sa.text(
            f"""INSERT INTO board (slide, revision, number, state, slide_name, order_id, arrived_at, flagged, urgency,
                                   changed)
                SELECT s.id, r.id, r.number, r.state, s.slide_id, {order_id}, r.arrived_at, 0, {rank}, r.id
                FROM slides s JOIN revisions r ON r.slide = s.id
                WHERE r.number = (SELECT MAX(number) FROM revisions WHERE slide = s.id)"""
        )
    )
