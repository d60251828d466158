"""Sources are watched under a lease and have a priority; revisions have a rank in the outbox."""

import sqlalchemy as sa
from alembic import op


revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what the watchers and the outbox need."""
    # As before: one column after the other, each with a default, so that no large table is copied.
    op.add_column("sources", sa.Column("priority", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("sources", sa.Column("watched_by", sa.String(length=160), nullable=True))
    op.add_column("sources", sa.Column("watch_token", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("sources", sa.Column("watch_beat", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("revisions", sa.Column("rank", sa.Integer(), nullable=False, server_default="0"))
    op.create_index("ix_revisions_outbox", "revisions", ["state", "published_at", "rank", "settled_at"], unique=False)
