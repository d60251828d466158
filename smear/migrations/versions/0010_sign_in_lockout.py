"""Sign-in lock-out that a reset clears, and browsers that are known by a cookie."""

import sqlalchemy as sa
from alembic import op


revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the two tables. Neither has a number of its own: rows are found by what they are about."""
    op.create_table(
        "sign_in_attempts",
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("place", sa.String(length=64), nullable=False),
        sa.Column("level", sa.Float(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("gone_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subject", "kind", "place", name=op.f("pk_sign_in_attempts")),
    )
    op.create_index(op.f("ix_sign_in_attempts_gone_at"), "sign_in_attempts", ["gone_at"], unique=False)
    op.create_table(
        "devices",
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("user", sa.Integer(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user"], ["users.id"], name=op.f("fk_devices_user_users")),
        sa.PrimaryKeyConstraint("token_sha256", "user", name=op.f("pk_devices")),
    )
    op.create_index(op.f("ix_devices_user"), "devices", ["user"], unique=False)
