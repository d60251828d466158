"""What the commands `worker watch` and `worker rescan` do once their call is read."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence

from smear.intervals import load_intervals
from smear.layout import layout
from smear.logs import set_up_logging
from smear.plain import PlainError
from smear.settings import Settings
from smear.sources import Source
from smear.store import Store, StoreUnavailable, wait_for_schema
from worker.queue import sender
from worker.watch.loop import watch as watch_loop
from worker.watch.observe import Observing
from worker.watch.reconcile import Reconciler
from worker.watch.rescan import Rescan
from worker.watch.source import SourceWatch


class NoSource(PlainError):
    """A source that the settings do not name; its text names those there are."""


def watch(settings: Settings, waiting: Callable[[str], object]) -> None:
    """Watch every source until SIGTERM, SIGINT or SIGQUIT. `waiting` is told what is wrong with the database."""
    set_up_logging(settings.log_level, settings.log_format)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, lambda *_: stop.set())
    store = Store(settings.database)
    for problem in wait_for_schema(store, stop):
        waiting(problem)
    if stop.is_set():
        return
    # What a watcher remembers of one database does not hold of another: its supervisor starts the next.
    store.when_replaced(stop.set)
    # The most urgent source is looked at first in every step.
    ordered = sorted(settings.sources, key=lambda source: -source.priority)
    watches = [
        SourceWatch(store, source, settings, Observing(source.root, layout(source.layout), settings.observer))
        for source in ordered
    ]
    watch_loop(watches, Reconciler(store, settings, sender(settings)), stop)
    _release(watches)


def _release(watches: Sequence[SourceWatch]) -> None:
    for watch in watches:
        try:
            watch.stop()
        except StoreUnavailable:
            continue  # the lease runs out by itself


def rescans(store: Store, settings: Settings, named: Sequence[str], *, by_hash: bool) -> Iterator[Rescan]:
    """A rescan of each source that is named, or of all; raises NoSource before the first."""
    by_name = {source.name: source for source in settings.sources}
    if unknown := [name for name in named if name not in by_name]:
        raise NoSource(f"WNET_DROP names no source {unknown[0]!r}; there are: {', '.join(by_name)}")
    wanted: list[Source] = [by_name[name] for name in named] or list(by_name.values())
    intervals = load_intervals(settings.intervals)
    return (Rescan(store, source, by_hash=by_hash, intervals=intervals) for source in wanted)
