"""Holding a claim: a thread beats while the work gets on, and ends the process when it no longer does."""

import os
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import structlog

from smear.store import Store, StoreUnavailable
from worker import ledger
from worker.ledger import Claim, Fenced


log: Final = structlog.get_logger()

#: EX_TEMPFAIL: the supervisor starts another.
EXIT_STALLED: Final = 75


class Lease:
    """Keeps a claim while `progress` is called now and then.

    Without progress for `stall_seconds` (a read that never returns, a driver that hangs) it stops beating and calls
    `stalled`, which by default ends the process at once: a thread cannot be interrupted, a process can.
    """

    def __init__(
        self,
        store: Store,
        claim: Claim,
        *,
        lease_seconds: float,
        stall_seconds: float,
        stalled: Callable[[], object] = lambda: os._exit(EXIT_STALLED),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._claim, self._clock = store, claim, clock
        self._interval, self._stall_seconds, self._stalled = lease_seconds / 3, stall_seconds, stalled
        self._last_progress = clock()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    def progress(self) -> None:
        """The work has got further."""
        self._last_progress = self._clock()

    def step(self) -> bool:
        """One heartbeat; False when there is nothing left to hold."""
        if self._clock() - self._last_progress > self._stall_seconds:
            log.critical("no progress: ending this process", revision=self._claim.revision)
            self._stalled()
            return False
        try:
            ledger.beat(self._store, self._claim)
        except Fenced:
            log.warning("claim was taken back", revision=self._claim.revision, token=self._claim.token)
            return False
        except StoreUnavailable as error:
            log.warning("heartbeat not written", revision=self._claim.revision, reason=str(error))
        return True

    def _run(self) -> None:
        going = True
        while going and not self._done.wait(self._interval):
            try:
                going = self.step()
            except Exception:
                # Without this thread the claim would fall silent, and the worker count as dead.
                log.exception("a heartbeat failed", revision=self._claim.revision)

    def __enter__(self) -> Self:
        """Start beating."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop beating."""
        self._done.set()
        self._thread.join()
