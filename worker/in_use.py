"""Whether another program uses the database, and an exclusive lock on it while it is replaced."""

import contextlib
import os
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sqlalchemy import text

from smear.audit import GENESIS
from smear.plain import PlainError
from smear.renewal import Replaced, counted_tables
from smear.settings import Settings
from smear.store import Store


#: How long a program that is just ending may still have the database open.
_ALONE_SECONDS: Final = 2.0
STOP_IT: Final = "the service is running: stop it first"


class InUse(PlainError):
    """Another program uses the database; its text says what to stop."""


def running(settings: Settings) -> bool:
    """Whether the service runs on this machine: its supervisor or its broker answers."""
    return _answers(settings.socket_folder / "supervisor.sock") or (
        settings.embedded_broker and _answers(settings.broker_socket)
    )


def _answers(path: Path) -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1)
        connection.connect(os.fspath(path))
        return True
    return False


def others_connected(store: Store) -> bool:
    """Whether another program is connected to the database; raises StoreUnavailable."""
    if store.file is not None:
        try:
            with alone(store.file):
                return False
        except InUse:
            return True
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with store.read() as session:
        return int(session.execute(text(query)).scalar_one()) > 0


@contextlib.contextmanager
def alone(database: Path) -> Iterator[Replaced | None]:
    """Lock the database against every other program; yields what it had given out, None where that cannot be read.

    Raises InUse where another program has it open. Its write-ahead log is written into it and removed.
    """
    if not database.exists():
        yield None
        return
    with contextlib.closing(sqlite3.connect(database, timeout=_ALONE_SECONDS, isolation_level=None)) as held:
        replaced = None
        try:
            # SQLite leaves its write-ahead log only where no other program has the database open.
            held.execute("PRAGMA journal_mode=DELETE")
            held.execute("BEGIN EXCLUSIVE")
            replaced = _given_out(held)
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise InUse(f"a program has {database} open: stop the service first") from None
        except sqlite3.DatabaseError:
            pass  # damaged, or no database at all: that is what backups are for
        yield replaced


def _given_out(held: sqlite3.Connection) -> Replaced | None:
    """The numbers that a database gave out; None where it is of an earlier version, whose numbers could repeat."""
    if held.execute("SELECT 1 FROM sqlite_master WHERE name = 'board_clock'").fetchone() is None:
        return None
    numbers = dict(held.execute("SELECT name, seq FROM sqlite_sequence").fetchall())
    for table in counted_tables():
        if held.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table.name,)).fetchone() is not None:
            (highest,) = held.execute(f"SELECT COALESCE(MAX(id), 0) FROM {table.name}").fetchone()  # noqa: S608
            numbers[table.name] = max(int(numbers.get(table.name, 0)), int(highest))
    nights = frozenset(str(night) for (night,) in held.execute("SELECT DISTINCT night FROM runs"))
    lines, head = held.execute("SELECT number, hash FROM audit_head WHERE id = 1").fetchone() or (0, GENESIS)
    return Replaced(numbers, nights, int(lines), str(head))
