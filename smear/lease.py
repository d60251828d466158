"""A lease by name: what only one process among all hosts does at a time, held by a heartbeat, fenced by a token."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

import structlog
from sqlalchemy import CursorResult, update
from sqlmodel import Session, col

from smear.nightly_tables import LeaseRow
from smear.plain import PlainError
from smear.process import has_ended, this_process
from smear.store import Store, StoreUnavailable
from smear.upsert import insert_missing


log: Final = structlog.get_logger()
_LOOK_SECONDS: Final = 0.5


class Held(PlainError):
    """Somebody else holds the lease; its text says who."""


class Lost(PlainError):
    """The lease was taken over: what this process still does must not be written."""


class Lease:
    """Holds the lease while the block runs; raises Held on entering where another's heartbeat goes on.

    A holder of this very host that has certainly ended is followed at once, another after `lease_seconds` of silence,
    judged on this process's monotonic clock.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        lease_seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._store, self._name, self._lease_seconds = store, name, lease_seconds
        self._clock, self._sleep, self._holder = clock, sleep, this_process()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"lease {name}", daemon=True)
        self.token = 0

    def check(self, session: Session) -> None:
        """Raises Lost, in the caller's transaction, unless the lease is still ours."""
        if not _change(session, self._name, (LeaseRow.token == self.token,), {"beat": col(LeaseRow.beat) + 1}):
            raise Lost("another process took the night over; what this one did is dropped")

    def __enter__(self) -> Self:
        """Take it; raises Held, StoreUnavailable."""
        seen, since = self._look(), self._clock()
        while not self._try(seen, silent=self._clock() - since >= self._lease_seconds):
            self._sleep(_LOOK_SECONDS)
            now = self._look()
            if now != seen:
                raise Held(f"a nightly run is under way already ({(now[0] or 'somebody').split(':')[0]})")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let another take it."""
        self._done.set()
        self._thread.join()
        try:
            with self._store.write() as session:
                _change(session, self._name, (LeaseRow.token == self.token,), {"holder": None})
        except StoreUnavailable as away:
            log.warning("the lease is not given back, it runs out", lease=self._name, reason=str(away))

    def _look(self) -> tuple[str | None, int, int]:
        with self._store.write() as session:
            insert_missing(
                session, LeaseRow, [{"name": self._name, "holder": None, "token": 0, "beat": 0}], unique=["name"]
            )
        with self._store.read() as session:
            row = session.get_one(LeaseRow, self._name)
            return row.holder, row.token, row.beat

    def _try(self, seen: tuple[str | None, int, int], *, silent: bool) -> bool:
        holder, token, beat = seen
        if not (holder is None or silent or has_ended(holder)):
            return False
        with self._store.write() as session:
            taken = _change(
                session, self._name, (LeaseRow.token == token, LeaseRow.beat == beat),
                {"holder": self._holder, "token": token + 1, "beat": beat + 1},
            )  # fmt: skip
        if not taken:
            raise Held("a nightly run is under way already: it began at this very moment")
        self.token = token + 1
        return True

    def _run(self) -> None:
        while not self._done.wait(self._lease_seconds / 3):
            try:
                with self._store.write() as session:
                    self.check(session)
            except Lost:
                return
            except StoreUnavailable as error:
                log.warning("heartbeat not written", lease=self._name, reason=str(error))
            except Exception:
                log.exception("a heartbeat failed", lease=self._name)


def _change(session: Session, name: str, conditions: tuple[Any, ...], values: dict[str, Any]) -> bool:
    result = session.execute(update(LeaseRow).where(col(LeaseRow.name) == name, *conditions).values(**values))
    assert isinstance(result, CursorResult)
    return result.rowcount == 1
