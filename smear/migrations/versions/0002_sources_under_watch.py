"""Sources are watched under a lease and have a priority; revisions have a rank in the outbox."""

import sqlalchemy as sa
from alembic import op


revision = "0002_sources_under_watch"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what the watchers and the outbox need."""
    with op.batch_alter_table("sources", schema=None) as batch_op:
        batch_op.add_column(sa.Column("priority", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("watched_by", sa.String(length=160), nullable=True))
        batch_op.add_column(sa.Column("watch_token", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("watch_beat", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("scanned_at", sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table("revisions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("rank", sa.Integer(), nullable=False, server_default="0"))
        batch_op.create_index("ix_revisions_outbox", ["state", "published_at", "rank", "settled_at"], unique=False)
    # The defaults are for the rows that were there; new ones say what they hold.
    with op.batch_alter_table("sources", schema=None) as batch_op:
        for name in ("priority", "watch_token", "watch_beat"):
            batch_op.alter_column(name, existing_type=sa.Integer(), existing_nullable=False, server_default=None)
    with op.batch_alter_table("revisions", schema=None) as batch_op:
        batch_op.alter_column("rank", existing_type=sa.Integer(), existing_nullable=False, server_default=None)
