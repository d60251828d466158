"""The file of an SQLite database: that it is still the one that was opened, and that it is whole.

SQLite keeps working on a file that another has replaced: what is written goes to a file without a name, and what is
read is out of date. So each time a connection is taken from the pool, the file under the database's name is compared
with the one that was opened.
"""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import structlog
from sqlalchemy import Engine, event
from sqlalchemy.exc import InvalidatePoolError


log: Final = structlog.get_logger()

_Identity = tuple[int, int]


def identity_of(file: Path) -> _Identity | None:
    """Device and inode; None where there is no such file."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def notice_replacing(
    engine: Engine, file: Path, gone: Callable[[str], Exception], replaced: Callable[[], object]
) -> None:
    """Let the engine open the file again where another lies in its place; then `replaced` is called once.

    `gone` makes the error that is raised where none lies there: connecting would make an empty one.
    """
    turn, before = threading.Lock(), threading.local()
    opened: dict[str, _Identity | None] = {"as": None}
    words = f"the database's file {file} is gone: put it back, or restore a backup with `worker restore`"

    @event.listens_for(engine, "do_connect")
    def _look_before(*_: Any) -> None:
        before.identity = identity_of(file)
        if opened["as"] is not None and before.identity is None:
            raise gone(words)

    @event.listens_for(engine, "connect")
    def _remember(_: Any, record: Any) -> None:
        # As it was before: replaced at this very moment, it is found to be another at once.
        record.info["file"] = before.identity or identity_of(file)
        if opened["as"] is None:
            opened["as"] = record.info["file"]

    @event.listens_for(engine, "checkout")
    def _compare(_: Any, record: Any, __: Any) -> None:
        now, then = identity_of(file), record.info.get("file")
        if then in {None, now}:
            return
        if now is None:
            raise gone(words)
        with turn:
            if opened["as"] != now:
                log.warning("the database's file was replaced: opening the new one", file=str(file))
                opened["as"] = now
                _put_old_log_aside(file, now)
                replaced()
        raise InvalidatePoolError("the database's file was replaced")


def _put_old_log_aside(file: Path, now: _Identity) -> None:
    """The write-ahead log of the file that was replaced must not be taken for the new file's: SQLite would apply it.

    It is the old one's where this process has it open, and has not opened the new file yet.
    """
    ours = _open_files()
    for suffix in ("-wal", "-shm"):
        beside = file.with_name(file.name + suffix)
        if now not in ours and (identity := identity_of(beside)) is not None and identity in ours:
            with contextlib.suppress(OSError):
                beside.rename(beside.with_name(f"{beside.name}.of-replaced-{identity[1]}"))


def _open_files() -> set[_Identity]:
    """Device and inode of every file that this process has open."""
    found = set()
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - as pathlib, without making paths
            with contextlib.suppress(OSError):
                one = os.stat(f"/proc/self/fd/{name}")  # noqa: PTH116 - likewise
                found.add((one.st_dev, one.st_ino))
    return found


def damage(file: Path) -> str | None:
    """What SQLite's own quick check finds wrong in a database's file; None where it is whole."""
    try:
        with contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=30)) as opened:
            found = [str(row[0]) for row in opened.execute("PRAGMA quick_check(3)")]
    except sqlite3.Error as error:
        return str(error)
    return None if found == ["ok"] else "; ".join(" ".join(line.split()) for line in found)
