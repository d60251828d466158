"""The first schema."""

import sqlalchemy as sa
from alembic import op


revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make every table of the first schema."""
    op.create_table(
        "bundles",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("bundle_id", sa.String(length=80), nullable=False),
        sa.Column("folder", sa.String(), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bundles")),
        sa.UniqueConstraint("bundle_id", name=op.f("uq_bundles_bundle_id")),
    )
    op.create_table(
        "sources",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("layout", sa.String(), nullable=False),
        sa.Column("geometry", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sources")),
        sa.UniqueConstraint("name", name=op.f("uq_sources_name")),
    )
    op.create_table(
        "serving",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("bundle", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["bundle"], ["bundles.id"], name=op.f("fk_serving_bundle_bundles")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_serving")),
    )
    op.create_table(
        "slides",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("slide_id", sa.String(length=255), nullable=False),
        sa.Column("folder", sa.String(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_slides_source_id_sources")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_slides")),
        sa.UniqueConstraint("source_id", "slide_id", name=op.f("uq_slides_source_id_slide_id")),
    )
    with op.batch_alter_table("slides", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_slides_source_id"), ["source_id"], unique=False)

    op.create_table(
        "cells",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("slide", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["slide"], ["slides.id"], name=op.f("fk_cells_slide_slides")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cells")),
        sa.UniqueConstraint("slide", "sha256", name=op.f("uq_cells_slide_sha256")),
    )
    op.create_table(
        "revisions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("slide", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("sidecar", sa.JSON(), nullable=True),
        sa.Column("signature", sa.String(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("claimed_by", sa.String(length=128), nullable=True),
        sa.Column("beat", sa.Integer(), nullable=False),
        sa.Column("arrived_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["slide"], ["slides.id"], name=op.f("fk_revisions_slide_slides")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_revisions")),
        sa.UniqueConstraint("slide", "number", name=op.f("uq_revisions_slide_number")),
    )
    with op.batch_alter_table("revisions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_revisions_slide"), ["slide"], unique=False)
        batch_op.create_index("ix_revisions_state_published", ["state", "published_at"], unique=False)

    op.create_table(
        "differentials",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("bundle", sa.Integer(), nullable=False),
        sa.Column("backend", sa.String(length=64), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("classified", sa.Integer(), nullable=False),
        sa.Column("outside", sa.Integer(), nullable=False),
        sa.Column("misfit", sa.Integer(), nullable=False),
        sa.Column("unreadable", sa.Integer(), nullable=False),
        sa.Column("neutrophil", sa.Integer(), nullable=False),
        sa.Column("eosinophil", sa.Integer(), nullable=False),
        sa.Column("basophil", sa.Integer(), nullable=False),
        sa.Column("lymphocyte", sa.Integer(), nullable=False),
        sa.Column("monocyte", sa.Integer(), nullable=False),
        sa.Column("percent", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("ci95", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("remark", sa.String(length=16), nullable=True),
        sa.Column("problems", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["bundle"], ["bundles.id"], name=op.f("fk_differentials_bundle_bundles")),
        sa.ForeignKeyConstraint(["revision"], ["revisions.id"], name=op.f("fk_differentials_revision_revisions")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_differentials")),
        sa.UniqueConstraint("revision", "bundle", name=op.f("uq_differentials_revision_bundle")),
    )
    with op.batch_alter_table("differentials", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_differentials_bundle"), ["bundle"], unique=False)

    op.create_table(
        "pictures",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("cell", sa.Integer(), nullable=True),
        sa.Column("problem", sa.String(), nullable=True),
        sa.Column("analyser_class", sa.String(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("ctime_ns", sa.BigInteger(), nullable=False),
        sa.Column("inode", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["cell"], ["cells.id"], name=op.f("fk_pictures_cell_cells")),
        sa.ForeignKeyConstraint(["revision"], ["revisions.id"], name=op.f("fk_pictures_revision_revisions")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pictures")),
        sa.UniqueConstraint("revision", "path", name=op.f("uq_pictures_revision_path")),
    )
    with op.batch_alter_table("pictures", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_pictures_cell"), ["cell"], unique=False)

    op.create_table(
        "predictions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("cell", sa.Integer(), nullable=False),
        sa.Column("bundle", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("cell_type", sa.String(length=16), nullable=True),
        sa.Column("p_neutrophil", sa.Float(), nullable=True),
        sa.Column("p_eosinophil", sa.Float(), nullable=True),
        sa.Column("p_basophil", sa.Float(), nullable=True),
        sa.Column("p_lymphocyte", sa.Float(), nullable=True),
        sa.Column("p_monocyte", sa.Float(), nullable=True),
        sa.Column("outside_score", sa.Float(), nullable=True),
        sa.Column("problem", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["bundle"], ["bundles.id"], name=op.f("fk_predictions_bundle_bundles")),
        sa.ForeignKeyConstraint(["cell"], ["cells.id"], name=op.f("fk_predictions_cell_cells")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_predictions")),
        sa.UniqueConstraint("cell", "bundle", name=op.f("uq_predictions_cell_bundle")),
    )
    with op.batch_alter_table("predictions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_predictions_bundle"), ["bundle"], unique=False)
