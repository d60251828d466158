"""The tables of the review: users and sessions, labels and how they came to be, signatures, comments, audit, board.

    revision -- review (version, who has it) -< change (undo, redo)      slide -- board (a line each, kept by triggers)
        `-< signature                     cell -- label, reference cell

`audit` is append-only, by triggers of the database itself; `board` is derived from slides, revisions and differentials
by triggers too, so that whoever writes those tables, the board is true.
"""

from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import JSON, BigInteger, Column, Index
from sqlmodel import Field, SQLModel

from smear.tables import NUMBERED, UtcTime


Role = Literal["viewer", "technologist", "reviewer", "administrator"]

MAX_USER_NAME: Final = 64
MAX_TEXT: Final = 2000


def _time(*, nullable: bool = False, index: bool = False) -> Any:
    return Field(default=None if nullable else ..., sa_column=Column(UtcTime(), nullable=nullable, index=index))


def _json(*, nullable: bool = False) -> Any:
    kind = JSON(none_as_null=True) if nullable else JSON()
    return Field(default=None if nullable else ..., sa_column=Column(kind, nullable=nullable))


class UserRow(SQLModel, table=True):
    """A person who may sign in. `must_change` asks for a new password first; `active` ends an account, rows stay."""

    __tablename__ = "users"
    __table_args__ = NUMBERED
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True, max_length=MAX_USER_NAME)
    full_name: str = Field(max_length=120)
    role: str = Field(max_length=16)
    password_hash: str
    must_change: bool
    active: bool
    created_at: datetime = _time()


class SessionRow(SQLModel, table=True):
    """A signed-in browser. Only the SHA-256 of its token is kept: who reads the database cannot become anybody.

    `password_at` is when it last gave its password, at the sign-in or before a signature.
    """

    __tablename__ = "sessions"
    __table_args__ = NUMBERED
    id: int | None = Field(default=None, primary_key=True)
    token_sha256: str = Field(unique=True, max_length=64)
    user: int = Field(foreign_key="users.id", index=True)
    created_at: datetime = _time()
    seen_at: datetime = _time()
    password_at: datetime | None = _time(nullable=True)


class DeviceRow(SQLModel, table=True):
    """A browser in which a user has signed in before. Only the SHA-256 of its cookie is kept, as for sessions."""

    __tablename__ = "devices"
    token_sha256: str = Field(primary_key=True, max_length=64)
    user: int = Field(primary_key=True, foreign_key="users.id", index=True, sa_column_kwargs={"autoincrement": False})
    seen_at: datetime = _time()


class AttemptRow(SQLModel, table=True):
    """Failed passwords of one subject (a name, an address), counted for all processes (review/lockout.py).

    `level` is how many there were at `at`, less what has been forgiven since; from `gone_at` on the row counts nothing.
    """

    __tablename__ = "sign_in_attempts"
    subject: str = Field(primary_key=True, max_length=64)
    kind: str = Field(primary_key=True, max_length=8)
    place: str = Field(primary_key=True, max_length=64)
    level: float
    at: datetime = _time()
    gone_at: datetime = _time(index=True)


class ReviewRow(SQLModel, table=True):
    """The review of one revision. `version` grows with every change, so that nobody overwrites what he has not seen.

    `amending` is the reason for which a signed slide was opened again; null once it is signed anew.
    """

    __tablename__ = "reviews"
    __table_args__ = NUMBERED
    id: int | None = Field(default=None, primary_key=True)
    revision: int = Field(foreign_key="revisions.id", unique=True)
    version: int = 0
    held_by: int | None = Field(default=None, foreign_key="users.id")
    held_at: datetime | None = _time(nullable=True)
    amending: str | None = Field(default=None, max_length=MAX_TEXT)


class LabelRow(SQLModel, table=True):
    """What a person says a cell is, now: one of the five, or `outside`; `kind` is finer (band, blast).

    `label` is null where it was taken back: the model's proposal holds again. `revision` and `version` say at which
    state of which review it was last changed, which is what a change that comes too late is told by.
    """

    __tablename__ = "labels"
    __table_args__ = NUMBERED
    id: int | None = Field(default=None, primary_key=True)
    cell: int = Field(foreign_key="cells.id", unique=True)
    label: str | None = Field(default=None, max_length=16)
    kind: str | None = Field(default=None, max_length=32)
    user: int = Field(foreign_key="users.id")
    at: datetime = _time()
    revision: int = Field(foreign_key="revisions.id", index=True)
    version: int


class ChangeRow(SQLModel, table=True):
    """One act of a person on some cells of a revision: `before` and `after` are lists of {cell, label, kind}.

    `undone` is set while it is taken back; a new change makes what is undone beyond redoing (`gone`).
    """

    __tablename__ = "changes"
    __table_args__ = (Index("ix_changes_revision_user", "revision", "user"), NUMBERED)
    id: int | None = Field(default=None, primary_key=True)
    revision: int = Field(foreign_key="revisions.id")
    user: int = Field(foreign_key="users.id")
    at: datetime = _time()
    before: list[dict[str, Any]] = _json()
    after: list[dict[str, Any]] = _json()
    undone: bool = False
    gone: bool = False


class SignatureRow(SQLModel, table=True):
    """A signature under a revision, with what was signed: the reviewed differential and the versions it rests on."""

    __tablename__ = "signatures"
    __table_args__ = NUMBERED
    id: int | None = Field(default=None, primary_key=True)
    revision: int = Field(foreign_key="revisions.id", index=True)
    user: int = Field(foreign_key="users.id")
    role: str = Field(max_length=16)
    meaning: str = Field(max_length=16)
    reason: str | None = Field(default=None, max_length=MAX_TEXT)
    at: datetime = _time()
    result: dict[str, Any] = _json()


class CommentRow(SQLModel, table=True):
    """A remark on a slide, or on one of its cells."""

    __tablename__ = "comments"
    __table_args__ = NUMBERED
    id: int | None = Field(default=None, primary_key=True)
    slide: int = Field(foreign_key="slides.id", index=True)
    revision: int = Field(foreign_key="revisions.id")
    cell: int | None = Field(default=None, foreign_key="cells.id")
    user: int = Field(foreign_key="users.id")
    at: datetime = _time()
    text: str = Field(max_length=MAX_TEXT)


class ReferenceRow(SQLModel, table=True):
    """A cell that the laboratory shows beside others as an example of its type."""

    __tablename__ = "reference_cells"
    __table_args__ = NUMBERED
    id: int | None = Field(default=None, primary_key=True)
    cell: int = Field(foreign_key="cells.id", unique=True)
    label: str = Field(max_length=16, index=True)
    kind: str | None = Field(default=None, max_length=32)
    user: int = Field(foreign_key="users.id")
    at: datetime = _time()


class AuditRow(SQLModel, table=True):
    """One line of the audit. `hash` is over everything in it and the hash of the line before (smear/audit.py)."""

    __tablename__ = "audit"
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    at: datetime = _time(index=True)
    user: int | None = None
    who: str = Field(max_length=MAX_USER_NAME)
    role: str = Field(max_length=16)
    action: str = Field(max_length=32)
    slide: int | None = Field(default=None, index=True)
    revision: int | None = None
    before: dict[str, Any] | None = _json(nullable=True)
    after: dict[str, Any] | None = _json(nullable=True)
    reason: str | None = None
    bundle: str | None = Field(default=None, max_length=80)
    versions: dict[str, Any] | None = _json(nullable=True)
    previous_hash: str = Field(max_length=64)
    hash: str = Field(max_length=64)


class AuditHeadRow(SQLModel, table=True):
    """The last line of the audit: whoever appends locks this one row first, so that the chain never forks."""

    __tablename__ = "audit_head"
    id: int = Field(default=1, primary_key=True)
    number: int
    hash: str = Field(max_length=64)


class BoardClockRow(SQLModel, table=True):
    """Counts the board's changes by the numbers of its rows, which are removed at once: the counter never goes back."""

    __tablename__ = "board_clock"
    __table_args__ = NUMBERED
    id: int | None = Field(default=None, primary_key=True)


class BoardRow(SQLModel, table=True):
    """A slide as the board lists it: its latest revision. Written by the database's triggers; the page lets `changed`
    grow where somebody has taken a slide in hand.

    `urgency` sorts (smaller first); `changed` grows with every change of any line, so that what is new is found.
    """

    __tablename__ = "board"
    __table_args__ = (
        Index("ix_board_urgency_arrived", "urgency", "arrived_at", "slide"),
        Index("ix_board_state_urgency", "state", "urgency", "arrived_at", "slide"),
    )
    slide: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    revision: int = Field(unique=True)
    number: int
    state: str = Field(max_length=16)
    slide_name: str = Field(max_length=255)
    order_id: str | None = Field(default=None, max_length=200)
    arrived_at: datetime = _time()
    flagged: int = 0
    urgency: int
    changed: int = Field(sa_column=Column(BigInteger, nullable=False, index=True))
