"""The tables of the nightly fine-tune: runs, their lease, the laboratory's split, scorecards, promotions, drift."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, UniqueConstraint
from sqlmodel import Field, SQLModel

from smear.review_tables import MAX_TEXT
from smear.tables import NUMBERED, UtcTime


def _time(*, nullable: bool = False) -> Any:
    return Field(default=None if nullable else ..., sa_column=Column(UtcTime(), nullable=nullable))


def _json(*, nullable: bool = False) -> Any:
    kind = JSON(none_as_null=True) if nullable else JSON()
    return Field(default=None if nullable else ..., sa_column=Column(kind, nullable=nullable))


class RunRow(SQLModel, table=True):
    """One stage of one night. `told` is what the next stages need of it; `token` that of the lease it ran under.

    States: waiting, running, done, ended (the night stops here, `reason` says why), failed (likewise, and wrongly so).
    """

    __tablename__ = "runs"
    __table_args__ = (UniqueConstraint("night", "stage"), NUMBERED)
    id: int | None = Field(default=None, primary_key=True)
    night: str = Field(max_length=32)
    stage: str = Field(max_length=16)
    state: str = Field(default="waiting", max_length=16)
    reason: str | None = Field(default=None, max_length=MAX_TEXT)
    told: dict[str, Any] | None = _json(nullable=True)
    token: int = 0
    attempts: int = 0
    created_at: datetime = _time()
    started_at: datetime | None = _time(nullable=True)
    finished_at: datetime | None = _time(nullable=True)


class LeaseRow(SQLModel, table=True):
    """Who alone does something, in the manner of a revision's claim: holder, fencing token, heartbeat."""

    __tablename__ = "leases"
    name: str = Field(primary_key=True, max_length=32)
    holder: str | None = Field(default=None, max_length=160)
    token: int = 0
    beat: int = 0


class LabCellRow(SQLModel, table=True):
    """What a labelled content is for, once and for ever: `learn` or `judge`, and the first night that saw it."""

    __tablename__ = "lab_cells"
    sha256: str = Field(primary_key=True, max_length=64)
    role: str = Field(max_length=8)
    night: str = Field(max_length=32, index=True)


class ScorecardRow(SQLModel, table=True):
    """How a night's challenger did beside the champion. `bundle` is its row where it passed, null where it did not."""

    __tablename__ = "scorecards"
    __table_args__ = NUMBERED
    id: int | None = Field(default=None, primary_key=True)
    night: str = Field(unique=True, max_length=32)
    bundle: int | None = Field(default=None, foreign_key="bundles.id")
    challenger: str = Field(max_length=80)
    champion: str = Field(max_length=80)
    passed: bool
    reason: str = Field(max_length=MAX_TEXT)
    card: dict[str, Any] = _json()
    at: datetime = _time()


class PromotionRow(SQLModel, table=True):
    """A change of the bundle that serves, by whom and why. `undone` where it was rolled back."""

    __tablename__ = "promotions"
    __table_args__ = NUMBERED
    id: int | None = Field(default=None, primary_key=True)
    bundle: int = Field(foreign_key="bundles.id")
    before: int = Field(foreign_key="bundles.id")
    kind: str = Field(max_length=16)
    who: str = Field(max_length=64)
    reason: str = Field(max_length=MAX_TEXT)
    at: datetime = _time()
    undone: bool = False


class DriftRow(SQLModel, table=True):
    """What a source's pictures were like on one day, under one bundle: means over `cells` classified cells.

    `mix` are shares by predicted type, `colour` means of lightness, chroma and hue angle where pictures are kept.
    """

    __tablename__ = "drift"
    __table_args__ = (UniqueConstraint("day", "source", "bundle"), NUMBERED)
    id: int | None = Field(default=None, primary_key=True)
    day: str = Field(max_length=10, index=True)
    source: int = Field(foreign_key="sources.id")
    bundle: int = Field(foreign_key="bundles.id")
    cells: int
    mix: dict[str, float] = _json()
    confidence: float
    outside: float
    colour: dict[str, float] | None = _json(nullable=True)
