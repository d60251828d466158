"""Deaths, what a worker has in hand, suspects and quarantine, and when a source was scanned last."""

import sqlalchemy as sa
from alembic import op


revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what isolates a picture that ends its worker."""
    op.create_table(
        "suspects",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("deaths", sa.Integer(), nullable=False),
        sa.Column("ended", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("quarantined_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_suspects")),
    )
    # One column after the other, each with a default: a table of a million revisions is not copied for it.
    op.add_column("revisions", sa.Column("deaths", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("revisions", sa.Column("in_hand", sa.String(length=64), nullable=True))
    op.add_column("sources", sa.Column("scanned_at", sa.DateTime(timezone=True), nullable=True))
