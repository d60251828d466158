"""Claims whose end could not be written: remembered, here and on disk, and let go of once the database answers.

Else the lease would run out, and be counted as a death of the worker that the slide never caused.
"""

import contextlib
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from smear.store import Store, StoreUnavailable
from worker import ledger


log: Final = structlog.get_logger()

#: How often the database is asked whether it takes the claims back; well below a lease.
PAUSE_SECONDS: Final = 1.0
_FILE: Final = re.compile(r"(\d+)-(\d+)-(\d+)")


class LeftClaims:
    """The claims that this process, or an earlier one on this host, has left behind.

    A file each in `folder` (revision, token, attempts) outlives the process: one that is stopped while the database
    is away cannot let go of anything, and the next one does.
    """

    def __init__(self, store: Store, folder: Path, sleep: Callable[[float], object] = time.sleep) -> None:
        self._store, self._folder, self._sleep = store, folder, sleep
        self._lock = threading.Lock()
        self._claims: set[tuple[int, int, int]] = set()
        self._unanswered: set[tuple[int, str]] = set()
        self._one_at_a_time = threading.Lock()
        self._trying = False
        with contextlib.suppress(OSError):
            found = [_FILE.fullmatch(file.name) for file in folder.iterdir()]
            self._claims = {(int(name[1]), int(name[2]), int(name[3])) for name in found if name}
        if self._claims:
            self._start()

    def add(self, claim: ledger.Claim) -> None:
        """Nobody works on this claim any more, and the database may not know it."""
        one = (claim.revision, claim.token, claim.attempts)
        with self._lock:
            self._claims.add(one)
        with contextlib.suppress(OSError):  # a disk that is full: then this process alone remembers
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file(one).touch()
        self._start()

    def add_unanswered(self, revision: int, worker: str) -> None:
        """The database went away while this worker claimed a revision: whether it did is unknown."""
        with self._lock:
            self._unanswered.add((revision, worker))
        self._start()

    def let_go(self) -> None:
        """Put all of them back into the outbox, uncounted; harmless where one is over. Raises StoreUnavailable."""
        with self._one_at_a_time:  # nothing is let go of any more once its revision is claimed again
            for revision, worker in sorted(self._unanswered.copy()):
                ledger.let_go_unanswered(self._store, revision, worker)
                with self._lock:
                    self._unanswered.discard((revision, worker))
            for one in sorted(self._claims.copy()):
                ledger.let_go_of(self._store, *one)
                with self._lock:
                    self._claims.discard(one)
                with contextlib.suppress(OSError):
                    self._file(one).unlink(missing_ok=True)

    def _file(self, one: tuple[int, int, int]) -> Path:
        return self._folder / "-".join(str(number) for number in one)

    def _start(self) -> None:
        with self._lock:
            if self._trying:
                return
            self._trying = True
        threading.Thread(target=self._try, name="left claims", daemon=True).start()

    def _try(self) -> None:
        while True:
            self._sleep(PAUSE_SECONDS)
            try:
                self.let_go()
            except StoreUnavailable:
                continue
            except Exception:
                log.exception("a claim left behind could not be let go of")
                continue
            with self._lock:
                if not self._claims and not self._unanswered:
                    self._trying = False
                    return
