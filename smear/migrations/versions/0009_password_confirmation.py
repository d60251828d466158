"""When a session last gave its password."""

import sqlalchemy as sa
from alembic import op


revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. Sessions that were open before hold null: they give their password before they sign."""
    op.add_column("sessions", sa.Column("password_at", sa.DateTime(timezone=True), nullable=True))
