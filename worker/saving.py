"""Saving an SQLite database to a file while the service runs, and bringing it back while it does not.

A restored database is another one under the same name: `smear.renewal` says what it must not share with the one that it
replaces. The replaced database is kept under another name in the same folder.
"""

import contextlib
import fcntl
import os
import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from alembic.util import CommandError
from sqlalchemy import URL

from smear.audit import Verdict, verify
from smear.plain import PlainError
from smear.renewal import Renewed, renew
from smear.settings import Settings
from smear.sqlite_file import damage
from smear.store import NO_DATABASE, Store, migrate, schema_problem
from worker.in_use import STOP_IT, InUse, alone, others_connected, running


#: Ends the name of the file that a migration of the copy is locked by.
_LOCK: Final = ".lock"
_ON_POSTGRESQL: Final = (
    'the database is PostgreSQL: save it with pg_dump and bring it back with pg_restore (README, "Backup and restore")'
)


class CannotSave(PlainError):
    """A backup or a restore that is not done; its text says why. What was there is as it was."""


class BrokenAudit(CannotSave):
    """The audit of a backup is broken, and the call does not say --force."""


@dataclass(frozen=True)
class Saved:
    """A backup: its file, its size, and its audit's verdict; None for a database of an earlier version."""

    file: Path
    size_bytes: int
    audit: Verdict | None

    def to_object(self) -> dict[str, Any]:
        """As `worker backup --json` prints it."""
        return {"file": str(self.file), "bytes": self.size_bytes, "audit": _told(self.audit)}


@dataclass(frozen=True)
class Restored:
    """A restore: what was brought back, where the replaced database lies now, and what was renewed."""

    file: Path
    aside: Path | None
    audit: Verdict
    renewed: Renewed

    def to_object(self) -> dict[str, Any]:
        """As `worker restore --json` prints it."""
        return {
            "file": str(self.file),
            "replaced": None if self.aside is None else str(self.aside),
            "audit": _told(self.audit),
            "revisions": self.renewed.revisions,
            "claims_ended": self.renewed.claims_ended,
            "sessions_ended": self.renewed.sessions_ended,
        }


def _told(verdict: Verdict | None) -> dict[str, Any] | None:
    return None if verdict is None else {"lines": verdict.lines, "head": verdict.head, "problem": verdict.problem}


def backup(settings: Settings, target: Path) -> Saved:
    """Copy the database as it is at one moment into a new file, and read the copy back. The service may run.

    Raises CannotSave, StoreUnavailable, OSError.
    """
    database = _database(settings)
    if not database.exists():
        raise CannotSave(f"there is no database at {database}")
    if target.exists():
        raise CannotSave(f"{target} is there already: a backup replaces no other")
    with _temporary(target) as copy:
        _copy(database, copy)
        if (problem := damage(copy)) is not None:
            raise CannotSave(f"the database is damaged and was not saved: {problem}")
        store = Store(URL.create("sqlite", database=str(copy)))
        try:
            verdict = verify(store) if schema_problem(store) is None else None
        finally:
            store.close()
        _finish(copy, target)
    return Saved(target, target.stat().st_size, verdict)


def restore(settings: Settings, source: Path, *, force: bool = False) -> Restored:
    """Bring a backup back under the database's name; the replaced one is kept. The service must not run.

    A backup whose audit is broken is restored with `force` alone; the line "restore" of the audit then says so. Raises
    CannotSave, BrokenAudit, InUse, StoreUnavailable, OSError.
    """
    database = _database(settings)
    if not source.is_file():
        raise CannotSave(f"there is no file {source}")
    if database.exists() and database.samefile(source):
        raise CannotSave(f"{source} is the database itself")
    if running(settings):
        raise InUse(STOP_IT)
    database.parent.mkdir(parents=True, exist_ok=True)
    with _no_migration(settings), _temporary(database) as copy:
        _copy(source, copy)
        if (problem := damage(copy)) is not None:
            raise CannotSave(f"{source} is damaged: {problem}")
        verdict = _bring_to_head(copy, source)
        if verdict.problem is not None and not force:
            raise BrokenAudit(f"the audit in {source} is broken: {verdict.problem} (--force restores it all the same)")
        with alone(database) as replaced:
            store = Store(URL.create("sqlite", database=str(copy)))
            try:
                renewed = renew(store, verdict, replaced)
                end = verify(store)
            finally:
                store.close()
            _same_owner(copy, database)
            aside = _put_aside(database)
            _finish(copy, database)
    return Restored(database, aside, end, renewed)


def renew_in_place(settings: Settings) -> Renewed:
    """What a restore does to rows, for a database that was brought back by other means. The service must not run.

    Raises CannotSave, InUse, StoreUnavailable.
    """
    store = Store(settings.database)
    try:
        if (problem := schema_problem(store)) is not None:
            raise CannotSave(problem)
        if running(settings) or others_connected(store):
            raise InUse(STOP_IT)
        return renew(store, verify(store), None)
    finally:
        store.close()


def _database(settings: Settings) -> Path:
    store = Store(settings.database)
    store.close()
    if store.engine.dialect.name != "sqlite":
        raise CannotSave(_ON_POSTGRESQL)
    if store.file is None:
        raise CannotSave("WNET_DATABASE_URL names no file: there is nothing to save")
    return store.file.absolute()


@contextlib.contextmanager
def _temporary(target: Path) -> Iterator[Path]:
    """A new file in the folder of `target`, readable by this user alone, and removed at the end."""
    copy = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        yield copy
    finally:
        for suffix in ("", "-wal", "-shm", "-journal", _LOCK):
            copy.with_name(copy.name + suffix).unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    """The database as it is at one moment, by SQLite's own backup: writers are neither waited for nor held up."""
    try:
        with (
            contextlib.closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True, timeout=30)) as read,
            contextlib.closing(sqlite3.connect(target)) as written,
        ):
            read.backup(written)
    except sqlite3.Error as error:
        raise CannotSave(f"{source} cannot be read: {error}") from None


def _bring_to_head(copy: Path, source: Path) -> Verdict:
    store = Store(URL.create("sqlite", database=str(copy)))
    try:
        problem = schema_problem(store)
        if problem == NO_DATABASE:
            raise CannotSave(f"{source} is no database of this program")
        if problem is not None:
            migrate(store, copy.with_name(copy.name + _LOCK))
        return verify(store)
    except CommandError:
        raise CannotSave(f"{source} was written by a newer version of this program: restore it with that") from None
    finally:
        store.close()


@contextlib.contextmanager
def _no_migration(settings: Settings) -> Iterator[None]:
    """`worker migrate`, with which the service begins, waits until this is over."""
    settings.var.mkdir(parents=True, exist_ok=True)
    with (settings.var / "migrate.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _put_aside(database: Path) -> Path | None:
    """Give the replaced database a second name, and its log, which would be taken for the new one's, another."""
    there = database.exists()
    aside = database.with_name(f"{database.name}.replaced-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}")
    if there:
        try:
            os.link(database, aside)
        except OSError:  # a file system without second names
            database.rename(aside)
    for suffix in ("-wal", "-shm"):
        log = database.with_name(database.name + suffix)
        if log.exists():
            log.rename(aside.with_name(aside.name + suffix))
    return aside if there else None


def _same_owner(copy: Path, database: Path) -> None:
    """Where root restores, the service's own user must be able to open the file."""
    owner = (database if database.exists() else database.parent).stat()
    if os.getuid() == 0:
        os.chown(copy, owner.st_uid, owner.st_gid)


def _finish(copy: Path, target: Path) -> None:
    """Write the copy to the disk as one file, then give it its name in one step."""
    with contextlib.closing(sqlite3.connect(copy)) as alone:
        alone.execute("PRAGMA journal_mode=DELETE")
    _to_disk(copy)
    copy.replace(target)
    _to_disk(target.parent)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
