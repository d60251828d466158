"""The tables. Identity is content, so that doing a thing twice changes nothing.

    source -< slide -< revision -< picture >- cell -< prediction
                           `-< differential >- bundle

Paths are relative to their source, since hosts mount shares at different places. Times are UTC.
"""

import secrets
from datetime import UTC, datetime
from typing import Any, Final, Literal, cast

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Index,
    MetaData,
    String,
    TypeDecorator,
    UniqueConstraint,
    case,
    exists,
    select,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import aliased
from sqlmodel import Field, SQLModel, col

from smear.names import spellings


RevisionState = Literal["arriving", "queued", "classified", "reviewed", "signed", "failed", "listed"]

SQLModel.metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcTime(TypeDecorator[datetime]):
    """A time in UTC: SQLite forgets the zone, so it is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a time without a zone."""
        del dialect
        assert value is None or value.tzinfo is not None, "a time without a zone"
        return value if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Say that it is UTC."""
        del dialect
        return value if value is None else value.replace(tzinfo=value.tzinfo or UTC)


def utc_now() -> datetime:
    """Now, in UTC; for records only: no decision is taken by the wall clock."""
    return datetime.now(UTC)


#: For every table whose `id` the database counts: on SQLite too, the number of a deleted row is never given out again.
NUMBERED: Final[dict[str, Any]] = {"sqlite_autoincrement": True}


def new_identity() -> str:
    """128 random bits: what a page names a revision by. Drawn again when a database is restored."""
    return secrets.token_hex(16)


def _time(*, nullable: bool, index: bool = False) -> Any:
    return Field(default=None if nullable else ..., sa_column=Column(UtcTime(), nullable=nullable, index=index))


def _zero() -> Any:
    """A count that came with a later schema: rows that were there before hold nothing."""
    return Field(default=0, sa_column_kwargs={"server_default": "0"})


class SourceRow(SQLModel, table=True):
    """A named root folder.

    `watched_by`, `watch_beat` and `watch_token` are the lease of its one active watcher, in the manner of a revision's
    claim. `scanned_at` is when the whole root was last compared, `ignored` how many files in it no slide takes.
    """

    __tablename__ = "sources"
    __table_args__ = NUMBERED
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True, max_length=64)
    layout: str
    geometry: str
    priority: int = _zero()
    watched_by: str | None = Field(default=None, max_length=160)
    watch_token: int = _zero()
    watch_beat: int = _zero()
    scanned_at: datetime | None = _time(nullable=True)
    ignored: int = _zero()


class SlideRow(SQLModel, table=True):
    """One smear: a slide is (source, slide_id)."""

    __tablename__ = "slides"
    __table_args__ = (UniqueConstraint("source_id", "slide_id"), NUMBERED)
    id: int | None = Field(default=None, primary_key=True)
    source_id: int = Field(foreign_key="sources.id", index=True)
    slide_id: str = Field(max_length=255)
    folder: str
    first_seen_at: datetime = _time(nullable=False)


class RevisionRow(SQLModel, table=True):
    """One state of a slide's pictures. A late or rewritten file makes the next; earlier ones stay as they were.

    `identity` is what a page names it by when it writes: unlike row and revision numbers with the review's version, it
    is drawn again by a restore, so a page that was opened before that changes nothing.
    `claimed_by` and `beat` are the lease: who works on it, and a counter that only grows while somebody does.
    `token` fences off whoever lost the lease: it grows with every claim and every release, and a result is
    written only under the token it was claimed with. `published_at` is the outbox: null means that the broker has
    not accepted a message for this revision yet; the smallest `rank` leaves it first. `signature` is the folder's when
    the revision settled, then from before it was read.

    `attempts` counts claims, before any work. `deaths` counts those whose worker died over it, as far as that was not
    somebody's doing outside; from the first on pictures are taken one by one, and `in_hand` is the content that is
    being decoded and classified alone right now.

    `sidecar` holds the fields of the sidecar that are understood; of a manifest's list the number of files, as
    `expected_cells`. `sidecar_problems` are {"file", "reason"} of what was not understood, `sidecar_stat` tells a
    sidecar that was rewritten. `changed_after_signing` lists {"at", "before", "after"} of sidecar fields that changed
    under a signature. `not_kept` is how many of its pictures WNET_PICTURES lacks.
    """

    __tablename__ = "revisions"
    __table_args__ = (
        UniqueConstraint("slide", "number"),
        Index("ix_revisions_state_published", "state", "published_at"),
        Index("ix_revisions_outbox", "state", "published_at", "rank", "settled_at"),
        NUMBERED,
    )
    id: int | None = Field(default=None, primary_key=True)
    slide: int = Field(foreign_key="slides.id", index=True)
    number: int
    identity: str = Field(default_factory=new_identity, unique=True, max_length=32)
    state: str = Field(default="arriving", max_length=16)
    reason: str | None = None
    sidecar: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON, nullable=True))
    sidecar_problems: list[dict[str, str]] | None = Field(
        default=None, sa_column=Column(JSON(none_as_null=True), nullable=True)
    )
    sidecar_stat: str | None = None
    changed_after_signing: list[dict[str, Any]] | None = Field(
        default=None, sa_column=Column(JSON(none_as_null=True), nullable=True)
    )
    not_kept: int = _zero()
    signature: str | None = None
    attempts: int = 0
    token: int = 0
    rank: int = _zero()
    claimed_by: str | None = Field(default=None, max_length=128)
    beat: int = 0
    deaths: int = _zero()
    in_hand: str | None = Field(default=None, max_length=64)
    arrived_at: datetime = _time(nullable=False)
    settled_at: datetime | None = _time(nullable=True)
    published_at: datetime | None = _time(nullable=True)
    finished_at: datetime | None = _time(nullable=True, index=True)


class CellRow(SQLModel, table=True):
    """A cell is (slide, SHA-256 of its picture file)."""

    __tablename__ = "cells"
    __table_args__ = (UniqueConstraint("slide", "sha256"), NUMBERED)
    id: int | None = Field(default=None, primary_key=True)
    slide: int = Field(foreign_key="slides.id")
    sha256: str = Field(max_length=64, index=True)


class PictureRow(SQLModel, table=True):
    """A file of a revision: which cell it holds, the stat it had when it was read, the analyser's own class.

    `cell` is null and `problem` is set where the file gave no bytes to tell a cell by.
    """

    __tablename__ = "pictures"
    __table_args__ = (UniqueConstraint("revision", "path"), NUMBERED)
    id: int | None = Field(default=None, primary_key=True)
    revision: int = Field(foreign_key="revisions.id")
    path: str
    cell: int | None = Field(default=None, foreign_key="cells.id", index=True)
    problem: str | None = None
    analyser_class: str | None = None
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    mtime_ns: int = Field(sa_column=Column(BigInteger, nullable=False))
    ctime_ns: int = Field(sa_column=Column(BigInteger, nullable=False))
    inode: str = Field(sa_column=Column(String(20), nullable=False))


class SuspectRow(SQLModel, table=True):
    """A content that was alone in a worker's hands when that died. From `quarantined_at` on nobody decodes it.

    `revision` is where it happened last; no foreign key, since that may be purged.
    """

    __tablename__ = "suspects"
    sha256: str = Field(primary_key=True, max_length=64)
    deaths: int
    ended: str
    revision: int
    since: datetime = _time(nullable=False)
    quarantined_at: datetime | None = _time(nullable=True)


class IgnoredFileRow(SQLModel, table=True):
    """A file of a source that no slide takes, and why, in words; the first thousand of a source.

    `path` is relative to the source, as it is shown; `area` is the slide's folder it was found in, empty outside.
    """

    __tablename__ = "ignored_files"
    source: int = Field(foreign_key="sources.id", primary_key=True)
    path: str = Field(primary_key=True, max_length=512)
    area: str
    reason: str
    first_seen_at: datetime = _time(nullable=False)


class BundleRow(SQLModel, table=True):
    """A bundle that has produced results or may do so. `folder` is its name below WNET_MODELS."""

    __tablename__ = "bundles"
    __table_args__ = NUMBERED
    id: int | None = Field(default=None, primary_key=True)
    bundle_id: str = Field(unique=True, max_length=80)
    folder: str
    registered_at: datetime = _time(nullable=False)


class ServingRow(SQLModel, table=True):
    """The bundle that serves: one row, number 1."""

    __tablename__ = "serving"
    id: int = Field(default=1, primary_key=True)
    bundle: int = Field(foreign_key="bundles.id")
    since: datetime = _time(nullable=False)


class PredictionRow(SQLModel, table=True):
    """What a bundle said of a cell; the probabilities are null where the picture was not classified."""

    __tablename__ = "predictions"
    __table_args__ = (UniqueConstraint("cell", "bundle"), NUMBERED)
    id: int | None = Field(default=None, primary_key=True)
    cell: int = Field(foreign_key="cells.id")
    bundle: int = Field(foreign_key="bundles.id", index=True)
    state: str = Field(max_length=16)
    cell_type: str | None = Field(default=None, max_length=16)
    p_neutrophil: float | None = None
    p_eosinophil: float | None = None
    p_basophil: float | None = None
    p_lymphocyte: float | None = None
    p_monocyte: float | None = None
    outside_score: float | None = None
    problem: str | None = None


class DifferentialRow(SQLModel, table=True):
    """The result of a revision under a bundle, as it was reported then. One row for each (slide, revision, bundle).

    `files` is the number of picture files it was made from; `total` counts distinct contents. Null in older rows.
    """

    __tablename__ = "differentials"
    __table_args__ = (UniqueConstraint("revision", "bundle"), NUMBERED)
    id: int | None = Field(default=None, primary_key=True)
    revision: int = Field(foreign_key="revisions.id")
    bundle: int = Field(foreign_key="bundles.id", index=True)
    backend: str = Field(max_length=64)
    files: int | None = None
    total: int
    classified: int
    outside: int
    misfit: int
    unreadable: int
    neutrophil: int
    eosinophil: int
    basophil: int
    lymphocyte: int
    monocyte: int
    percent: dict[str, float] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True), nullable=True))
    ci95: dict[str, list[float]] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True), nullable=True))
    remark: str | None = Field(default=None, max_length=16)
    corrected: dict[str, float] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True), nullable=True))
    corrected_ci95: dict[str, list[float]] | None = Field(
        default=None, sa_column=Column(JSON(none_as_null=True), nullable=True)
    )
    needs_review: int | None = None
    flags: list[dict[str, Any]] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True), nullable=True))
    problems: list[dict[str, str]] = Field(sa_column=Column(JSON, nullable=False))
    created_at: datetime = _time(nullable=False)


def is_latest_revision() -> Any:
    """The condition under which a RevisionRow in a query is its slide's latest."""
    later = aliased(RevisionRow)
    return ~exists().where(col(later.slide) == RevisionRow.slide, col(later.number) > RevisionRow.number)


def is_named(*names: str) -> Any:
    """The condition under which a SlideRow in a query has one of these names, in whichever form it is stored."""
    forms = [form for name in names for form in spellings(name)]
    # Of every source, since names are indexed within theirs: among a million slides one is found at once.
    within = col(SlideRow.source_id).in_(select(col(SourceRow.id)))
    named = select(col(SlideRow.id)).where(within, col(SlideRow.slide_id).in_(forms))
    return col(SlideRow.id).in_(named)


def by_standing() -> tuple[Any, ...]:
    """The order of a revision's DifferentialRows in a query, the one that stands last: that of the bundle in use, where
    it has one, else the latest.
    """
    in_use = select(col(ServingRow.bundle)).where(col(ServingRow.id) == 1).scalar_subquery()
    return case((col(DifferentialRow.bundle) == in_use, 1), else_=0), col(DifferentialRow.id)


def key(value: int | None) -> int:
    """The primary key of a row that has been flushed."""
    return cast("int", value)
