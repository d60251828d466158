"""Completeness, sidecars and ignored files: how many files a slide had, what of its sidecar was not understood or has
changed since, which pictures could not be kept, and which files of a source no slide takes.
"""

import sqlalchemy as sa
from alembic import op


revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and the table. All are null or 0 in what was there before: nothing is made up afterwards."""
    op.add_column("differentials", sa.Column("files", sa.Integer(), nullable=True))
    for column in (
        sa.Column("sidecar_problems", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("sidecar_stat", sa.String(), nullable=True),
        sa.Column("changed_after_signing", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("not_kept", sa.Integer(), nullable=False, server_default="0"),
    ):
        op.add_column("revisions", column)
    op.create_index(op.f("ix_revisions_finished_at"), "revisions", ["finished_at"], unique=False)
    op.add_column("sources", sa.Column("ignored", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "ignored_files",
        sa.Column("source", sa.Integer(), nullable=False),
        sa.Column("path", sa.String(length=512), nullable=False),
        sa.Column("area", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["source"], ["sources.id"], name=op.f("fk_ignored_files_source_sources")),
        sa.PrimaryKeyConstraint("source", "path", name=op.f("pk_ignored_files")),
    )
