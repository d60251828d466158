"""Is this worker still taking messages? Celery over Redis can go deaf after its broker died, and look healthy.

Seen with celery 5.7 over kombu 5.7: after a broker's `kill -9` a worker may hold its connection, answer pings and
take nothing any more. So each worker looks for itself: messages wait, it has none in hand, it took none for a
while - then it ends, and its supervisor starts another.
"""

import os
import threading
import time
from collections.abc import Callable
from typing import Final

import structlog
from celery import Celery, signals
from celery.worker import state

from worker.queue import SpoiltQueue, depth


log: Final = structlog.get_logger()

DEAF_SECONDS: Final = 8.0
POLL_SECONDS: Final = 2.0
EXIT_DEAF: Final = 75


class Hearing:
    """Decides, look by look, whether a worker has gone deaf. Seconds are monotonic."""

    def __init__(self, deaf_seconds: float, now: float) -> None:
        self._deaf_seconds = deaf_seconds
        self._well_since = now

    def step(self, waiting: int | None, in_hand: int, now: float) -> bool:
        """Whether it is deaf: `waiting` messages (None: the broker does not answer), `in_hand` taken and not done."""
        if not waiting or in_hand:
            self._well_since = now
        return now - self._well_since >= self._deaf_seconds

    def heard(self, now: float) -> None:
        """A message was taken."""
        self._well_since = now


def _waiting(app: Celery) -> int | None:
    try:
        return depth(app)
    except SpoiltQueue:
        return None  # the watcher repairs it; a worker that takes nothing meanwhile is not deaf


def watch_consuming(app: Celery, end: Callable[[], object] = lambda: os._exit(EXIT_DEAF)) -> None:
    """Start the thread that looks every POLL_SECONDS, for as long as the process lives."""
    hearing = Hearing(DEAF_SECONDS, time.monotonic())

    @signals.task_received.connect(weak=False)
    def _heard(**_: object) -> None:
        hearing.heard(time.monotonic())

    def look() -> None:
        while True:
            time.sleep(POLL_SECONDS)
            if hearing.step(_waiting(app), len(state.reserved_requests), time.monotonic()):
                log.critical("messages wait but none arrive here: ending this process")
                end()

    threading.Thread(target=look, name="hearing", daemon=True).start()
