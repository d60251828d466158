"""Every class of database error is sorted once; what real servers raise is tested where it is met."""

import sqlite3

import psycopg
import pytest
from psycopg import errors

from smear.database_errors import kind_of, spends_connection, why_rejected


def of_sqlite(code, words="x", kind=sqlite3.OperationalError):
    made = kind(words)
    made.sqlite_errorcode = code
    return made


@pytest.mark.parametrize(
    ("error", "kind", "spent"),
    [
        (errors.ReadOnlySqlTransaction(), "away", True),
        (errors.AdminShutdown(), "away", True),
        (errors.CannotConnectNow(), "away", True),
        (errors.ConnectionException(), "away", True),
        (errors.IdleInTransactionSessionTimeout(), "away", True),
        (errors.IoError(), "away", True),
        (errors.DataCorrupted(), "away", True),
        (errors.InvalidPassword(), "away", True),
        (errors.InvalidCatalogName(), "away", True),
        (psycopg.OperationalError("the line is dead"), "away", True),
        (errors.QueryCanceled(), "away", False),
        (errors.TooManyConnections(), "away", False),
        (errors.DiskFull(), "away", False),
        (errors.LockNotAvailable(), "away", False),
        (errors.DeadlockDetected(), "away", False),
        (errors.SerializationFailure(), "away", False),
        (errors.InsufficientPrivilege(), "away", False),
        (errors.UndefinedTable(), "away", False),
        (errors.StringDataRightTruncation(), "rejected", False),
        (errors.CharacterNotInRepertoire(), "rejected", False),
        (errors.UntranslatableCharacter(), "rejected", False),
        (errors.NumericValueOutOfRange(), "rejected", False),
        (errors.ProgramLimitExceeded(), "rejected", False),
        (errors.UniqueViolation(), "rejected", False),
        (psycopg.DataError("NUL"), "rejected", False),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "no"), "rejected", False),
        (OverflowError(), "rejected", False),
        (errors.NotNullViolation(), "ours", False),
        (errors.SyntaxError(), "ours", False),
        (errors.InFailedSqlTransaction(), "ours", False),
        (KeyError(), "ours", False),
        (None, "ours", False),
        (of_sqlite(sqlite3.SQLITE_READONLY_DBMOVED), "away", True),
        (of_sqlite(sqlite3.SQLITE_IOERR_READ), "away", True),
        (of_sqlite(sqlite3.SQLITE_CORRUPT, kind=sqlite3.DatabaseError), "away", True),
        (of_sqlite(sqlite3.SQLITE_NOTADB, kind=sqlite3.DatabaseError), "away", True),
        (of_sqlite(sqlite3.SQLITE_CANTOPEN), "away", True),
        (of_sqlite(sqlite3.SQLITE_BUSY_SNAPSHOT), "away", False),
        (of_sqlite(sqlite3.SQLITE_FULL), "away", False),
        (of_sqlite(sqlite3.SQLITE_ERROR, "no such table: slides"), "away", True),
        (of_sqlite(sqlite3.SQLITE_ERROR, 'near "SELEKT": syntax error'), "ours", False),
        (of_sqlite(sqlite3.SQLITE_TOOBIG, kind=sqlite3.DataError), "rejected", False),
        (of_sqlite(sqlite3.SQLITE_CONSTRAINT_UNIQUE, kind=sqlite3.IntegrityError), "rejected", False),
        (of_sqlite(sqlite3.SQLITE_CONSTRAINT_NOTNULL, kind=sqlite3.IntegrityError), "ours", False),
        (of_sqlite(sqlite3.SQLITE_MISUSE, kind=sqlite3.ProgrammingError), "ours", False),
        (sqlite3.ProgrammingError("closed"), "ours", False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_an_error_is_of_one_kind(error, kind, spent):
    assert (kind_of(error), spends_connection(error)) == (kind, spent)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (errors.StringDataRightTruncation("S-4711"), "a text is too long"),
        (errors.ProgramLimitExceeded("S-4711"), "a text is too long"),
        (psycopg.DataError("S-4711"), "a text holds characters that it cannot keep"),
        (UnicodeEncodeError("utf-8", "S-4711\ud800", 0, 1, "no"), "a text holds characters that it cannot keep"),
        (OverflowError("4711"), "a number is too large"),
        (errors.InvalidDatetimeFormat("S-4711"), "SQLSTATE 22007"),
        (sqlite3.DataError("S-4711"), "SQLite's result code is unknown"),
    ],
)
def test_a_rejection_is_told_without_the_value(error, words):
    assert why_rejected(error) == words
