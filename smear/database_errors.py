"""Database errors, each class sorted once: the database is away, it rejects a value, or the fault is ours.

SQLSTATE classes are those of PostgreSQL's appendix A; SQLite's result codes are those of sqlite3.h.
"""

import sqlite3
from typing import Final, Literal


#: "away": trying again later helps, and no slide is to blame. "rejected": one value cannot be stored, others can.
#: "ours": a fault of this program.
Kind = Literal["away", "rejected", "ours"]

#: By class, the first two characters. A whole SQLSTATE below goes first.
_BY_CLASS: Final[dict[str, Kind]] = {
    "08": "away",  # the connection
    "22": "rejected",  # data: too long, out of range, a character that the encoding has not
    "23": "rejected",  # constraints
    "28": "away",  # the server refuses our name or password
    "3D": "away",  # no such database
    "3F": "away",  # no such schema
    "40": "away",  # deadlock, serialisation: the transaction may be tried again
    "53": "away",  # disk, memory or connections of the server are used up
    "54": "rejected",  # limits: a text too long for an index
    "55": "away",  # locks
    "57": "away",  # an administrator ended it, the server starts or stops
    "58": "away",  # the server's own disk and files
    "XX": "away",  # damaged tables or indexes
}
_BY_STATE: Final[dict[str, Kind]] = {
    "23502": "ours",  # a column that we left out
    "25006": "away",  # read only: a server that became a standby
    "25P03": "away",  # the server ended a transaction that stood still
    "42501": "away",  # privileges were taken from us
    # The schema is not the one that this version needs: an older one, or one that is being restored.
    "42P01": "away",
    "42703": "away",
    "57014": "away",
}
#: Away, though the connection is as good as any other: it is not replaced.
_KEEPS_CONNECTION: Final = ("40", "42", "53", "55", "57014")

_BY_RESULT: Final[dict[int, Kind]] = {
    sqlite3.SQLITE_PERM: "away",
    sqlite3.SQLITE_BUSY: "away",
    sqlite3.SQLITE_LOCKED: "away",
    sqlite3.SQLITE_NOMEM: "away",
    sqlite3.SQLITE_READONLY: "away",
    sqlite3.SQLITE_INTERRUPT: "away",
    sqlite3.SQLITE_IOERR: "away",
    sqlite3.SQLITE_CORRUPT: "away",
    sqlite3.SQLITE_FULL: "away",
    sqlite3.SQLITE_CANTOPEN: "away",
    sqlite3.SQLITE_PROTOCOL: "away",
    sqlite3.SQLITE_SCHEMA: "away",
    sqlite3.SQLITE_NOLFS: "away",
    sqlite3.SQLITE_NOTADB: "away",
    sqlite3.SQLITE_TOOBIG: "rejected",
    sqlite3.SQLITE_CONSTRAINT: "rejected",
    sqlite3.SQLITE_MISMATCH: "rejected",
}
_LOCKED_OR_FULL: Final = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_FULL}
)
#: SQLite has no code of its own for a missing table or column, the schema of another version.
_OTHER_SCHEMA: Final = ("no such table", "no such column", "has no column named")
#: Python's own errors for a value that the driver cannot hand over: a lone surrogate, a NUL, an enormous number.
_UNSENDABLE: Final = (UnicodeError, OverflowError)

_WORDS: Final = {
    "22001": "a text is too long",
    "22003": "a number is too large",
    "22021": "a text holds characters that it cannot keep",
    "22P05": "a text holds characters that it cannot keep",
    "54000": "a text is too long",
}


def kind_of(error: BaseException | None) -> Kind:
    """Sort the driver's own error (SQLAlchemy's `orig`)."""
    if isinstance(error, _UNSENDABLE):
        return "rejected"
    if isinstance(error, sqlite3.Error):
        return _of_sqlite(error)
    state = _sqlstate(error)
    if state is not None:
        return _BY_STATE.get(state) or _BY_CLASS.get(state[:2], "ours")
    # Without a SQLSTATE it is the driver that speaks: of a connection lost or never made, or of a value.
    by_name: dict[str, Kind] = {"OperationalError": "away", "InterfaceError": "away", "DataError": "rejected"}
    return next((by_name[base.__name__] for base in type(error).__mro__ if base.__name__ in by_name), "ours")


def spends_connection(error: BaseException | None) -> bool:
    """Whether another connection may do better: a server that became a standby keeps old connections, read only."""
    if kind_of(error) != "away":
        return False
    if isinstance(error, sqlite3.Error):
        return _result(error) not in _LOCKED_OR_FULL
    return not (_sqlstate(error) or "").startswith(_KEEPS_CONNECTION)


def why_rejected(error: BaseException | None) -> str:
    """In words, and without the value: slides' names reach no log."""
    state = _sqlstate(error) or ""
    if isinstance(error, OverflowError):
        return _WORDS["22003"]
    if isinstance(error, UnicodeError) or (not state and not isinstance(error, sqlite3.Error)):
        return _WORDS["22021"]
    if isinstance(error, sqlite3.Error):
        return f"SQLite's result code is {getattr(error, 'sqlite_errorname', 'unknown')}"
    return _WORDS.get(state, f"SQLSTATE {state}")


def _sqlstate(error: BaseException | None) -> str | None:
    state = getattr(error, "sqlstate", None)
    return state if isinstance(state, str) and state else None


def _result(error: sqlite3.Error) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else int(code) & 0xFF  # the extended code holds the primary one


def _of_sqlite(error: sqlite3.Error) -> Kind:
    code = _result(error)
    if code == sqlite3.SQLITE_ERROR:
        return "away" if any(words in str(error) for words in _OTHER_SCHEMA) else "ours"
    if code == sqlite3.SQLITE_CONSTRAINT and error.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_NOTNULL:
        return "ours"
    return "ours" if code is None else _BY_RESULT.get(code, "ours")
