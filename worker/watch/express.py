"""Which slides overtake a backlog: those that come one by one, not those of a burst."""

from typing import Final


#: An analyser ends a slide about every two minutes (30 an hour); a burst comes faster than one in so many seconds.
REFILL_SECONDS: Final = 2.0
#: Slides that may come together and still count as coming by themselves.
CAPACITY: Final = 3


class Express:
    """Lets a slide through at most every REFILL_SECONDS, and CAPACITY after a rest.

    So a slide that settles while hundreds wait is next, and those hundreds still get most of the workers' time.
    """

    def __init__(self) -> None:
        self._left, self._since = float(CAPACITY), float("-inf")

    def take(self, now: float) -> bool:
        """Whether a slide that settles now (monotonic seconds) goes first."""
        self._left = min(float(CAPACITY), self._left + (now - self._since) / REFILL_SECONDS)
        self._since = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
