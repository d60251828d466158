"""Sign-in lock-out that a reset clears."""

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what it needs."""
