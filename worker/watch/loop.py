"""The watcher's loop: a step, a short rest, for ever."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from smear.store import StoreUnavailable
from worker.watch.reconcile import Reconciler
from worker.watch.source import SourceWatch


log: Final = structlog.get_logger()

TICK_SECONDS: Final = 0.25
#: After a fault outside us, or a bug of ours, the next step waits this long.
REST_SECONDS: Final = 1.0


def step(watches: Sequence[SourceWatch], reconciler: Reconciler, now: float) -> None:
    """Everything once: look at the sources, the most urgent first, then bring queue and database together.

    Whoever is active over no source leaves queue and database to the others.
    """
    settled = [watch.step(now) for watch in watches]
    if not any(watch.active for watch in watches):
        return
    if reconciler.step(now, settled=any(settled)):
        for watch in watches:
            watch.adopt(now)


def watch(
    watches: Sequence[SourceWatch],
    reconciler: Reconciler,
    stop: threading.Event,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Step until `stop` is set. Nothing that goes wrong in a step ends the loop: the next one compares afresh."""
    while not stop.is_set():
        try:
            step(watches, reconciler, clock())
            if not any(watch.busy for watch in watches):
                stop.wait(TICK_SECONDS)
        except StoreUnavailable as error:
            reconciler.forget_silence()
            log.warning("database is away", reason=str(error))
            stop.wait(REST_SECONDS)
        except Exception:
            log.exception("a step failed")
            stop.wait(REST_SECONDS)
