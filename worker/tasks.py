"""The worker's Celery tasks: a line each, with row numbers for arguments."""

import threading
from functools import cache, partial
from typing import Final

import structlog
from celery import shared_task, signals
from celery.worker import state

from smear.bundle import Bundle
from smear.nightly_schedule import DRIFT
from smear.picture_store import PictureStore
from smear.settings import load_settings
from smear.store import Store, wait_for_schema
from smear.tables import utc_now
from worker.drift import note
from worker.engine_audit import note_engine
from worker.engines.face import Engine
from worker.engines.forms import stamp
from worker.engines.select import open_engine
from worker.keeping import keeper
from worker.models import ServingEngine
from worker.queue import CLASSIFY
from worker.reading import SlideReader
from worker.work import Work


log: Final = structlog.get_logger()
_TURN: Final = threading.Lock()


@shared_task(name=CLASSIFY)
def classify(revision: int) -> None:
    """Classify one revision of a slide."""
    _work().do(revision)


@shared_task(name=DRIFT)
def drift() -> None:
    """Write down what the days' pictures were like."""
    settings = load_settings()
    store = Store(settings.database)
    try:
        note(store, PictureStore(settings.pictures_folder), utc_now().date())
    finally:
        store.close()


def _work() -> Work:
    """This process's work, made in the process that does it: no runtime is loaded before a fork."""
    with _TURN:  # of the pool `threads` several slides are the first
        return _made()


@cache
def _made() -> Work:
    settings = load_settings()
    store = Store(settings.database)
    for problem in wait_for_schema(store, threading.Event()):
        log.info("waiting for the database", reason=problem)

    def open_(bundle: Bundle) -> Engine:
        return open_engine(
            bundle, settings.engine, settings.engine_threads, settings.engines_folder, settings.precision
        )

    stamped, opened = partial(stamp, settings.engines_folder), partial(note_engine, store)
    serving = ServingEngine(store, settings.models_folder, open_, stamped, opened)
    keep = keeper(settings)
    return Work(settings, store, serving, SlideReader(keep=keep), not_kept=keep.not_kept, stopping=_stopping)


def _stopping() -> bool:
    """Whether this process was told to stop. Celery keeps an exit code there, which may be 0, or None or False."""
    return any(asked is not None and asked is not False for asked in (state.should_stop, state.should_terminate))


@signals.worker_process_init.connect
def _warm(**_: object) -> None:
    """Load the engine before the first slide comes: in each child of a pool, and in the process itself on `solo`."""
    _work().warm()
