"""A host that is short of memory: named as such, and waited for. It is no fault of a slide or of this program."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from smear.memory import is_shortage
from smear.plain import PlainError


#: The first wait after a shortage; each further one doubles it, up to the longest.
FIRST_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 60.0
_SLICE_SECONDS: Final = 1.0
_MAX_DETAIL: Final = 120


class OutOfMemory(PlainError):
    """This host has not enough memory for the work at hand; its text says so with what the runtime said."""


@contextmanager
def shortage_named(unless: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Raise OutOfMemory instead of whatever a lack of memory raises in here; every other error passes.

    `unless` are errors that pass whatever they say: a database server's memory is not this host's.
    """
    try:
        yield
    except unless:
        raise
    except Exception as error:
        if not is_shortage(error):
            raise
        detail = " ".join(str(error).split())[-_MAX_DETAIL:] or type(error).__name__
        raise OutOfMemory(f"the worker's host has not enough memory ({detail})") from error


class MemoryWait:
    """How long a worker waits after a shortage before it claims again: twice as long each time, until a slide ends."""

    def __init__(self, stopping: Callable[[], bool], sleep: Callable[[float], object] = time.sleep) -> None:
        self._stopping, self._sleep = stopping, sleep
        self.seconds = 0.0

    def shortage(self) -> None:
        """Another attempt ended for lack of memory."""
        self.seconds = min(max(2 * self.seconds, FIRST_SECONDS), LONGEST_SECONDS)

    def over(self) -> None:
        """A slide was worked on to its end: there is memory."""
        self.seconds = 0.0

    def wait(self) -> bool:
        """Let the wait pass; False where this process has to stop meanwhile."""
        left = self.seconds
        while left > 0:
            if self._stopping():
                return False
            self._sleep(min(left, _SLICE_SECONDS))
            left -= _SLICE_SECONDS
        return True
