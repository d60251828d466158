"""Rate limits: so many of a thing for a key within so many seconds, kept in memory. Time is a parameter."""

import threading
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final

from review.lockout import PasswordLimits


#: Keys remembered at a time; the one longest unused is forgotten first.
MAX_KEYS: Final = 10_000


@dataclass(frozen=True)
class Rate:
    """At most `times` within `seconds`."""

    times: int
    seconds: float


class Throttle:
    """Counts what happened by key. `waits` asks, `note` counts."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()
        self._turn = threading.Lock()

    def waits(self, key: str, now: float) -> float:
        """Seconds until this key may again; 0 where it may now."""
        with self._turn:
            times = self._recent(key, now)
            if len(times) < self._rate.times:
                return 0.0
            return max(times[-self._rate.times] + self._rate.seconds - now, 0.0)

    def note(self, key: str, now: float) -> None:
        """It happened."""
        with self._turn:
            self._recent(key, now).append(now)

    def _recent(self, key: str, now: float) -> deque[float]:
        times = self._seen.setdefault(key, deque(maxlen=self._rate.times))
        self._seen.move_to_end(key)
        while times and times[0] <= now - self._rate.seconds:
            times.popleft()
        while len(self._seen) > MAX_KEYS:
            self._seen.popitem(last=False)
        return times


@dataclass(frozen=True)
class Limits:
    """The page's rates. Passwords have their own, which all processes share (review/lockout.py)."""

    passwords: PasswordLimits = field(default_factory=PasswordLimits)
    writes: Rate = Rate(300, 30)
    #: Streams of events that a session may hold open.
    streams: int = 12
