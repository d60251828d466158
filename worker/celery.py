"""The worker's Celery app: `celery -A worker worker -Q slides`. The one module of this room that acts at import."""

import sys
from functools import partial
from typing import Any

from celery import Celery, signals
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.redis import Transport

from smear.celery_settings import celery_settings
from smear.intervals import load_intervals
from smear.junk import tolerant
from smear.logs import set_up_logging
from smear.plain import PlainError
from smear.settings import load_settings
from smear.store import Store
from worker.consuming import watch_consuming


try:
    settings = load_settings()
    # What no message could be worked on with is said now, not with every message.
    Store(settings.database).close()
    load_intervals(settings.intervals)
except PlainError as error:
    print(f"settings: {error}", file=sys.stderr)  # noqa: T201 - there is no log yet
    sys.exit(2)

# By the schemes of the address (redis+socket:// is `redis` too): kombu's own transport ends at what is no message.
_tolerant: Any = partial(tolerant, Transport)  # kombu takes a function for a name
TRANSPORT_ALIASES.update(redis=_tolerant, rediss=_tolerant)

app = Celery("worker", include=["worker.tasks"])
app.conf.update(celery_settings(settings))


@signals.setup_logging.connect
def _logs(**_: object) -> None:
    set_up_logging(settings.log_level, settings.log_format)


@signals.worker_ready.connect
def _ready(**_: object) -> None:
    watch_consuming(app)
