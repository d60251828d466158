"""engine_build's Celery app: `celery -A engine_build worker -Q build`. It alone acts at import here."""

import sys
from functools import partial
from typing import Any

from celery import Celery, signals
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.redis import Transport

from smear.celery_settings import celery_settings
from smear.junk import tolerant
from smear.logs import set_up_logging
from smear.settings import BadSettings, load_settings


try:
    settings = load_settings()
except BadSettings as error:
    print(f"settings: {error}", file=sys.stderr)  # noqa: T201 - there is no log yet
    sys.exit(2)

# By the schemes of the address (redis+socket:// is `redis` too): kombu's own transport ends at what is no message.
_tolerant: Any = partial(tolerant, Transport)  # kombu takes a function for a name
TRANSPORT_ALIASES.update(redis=_tolerant, rediss=_tolerant)

app = Celery("engine_build", include=["engine_build.tasks"])
app.conf.update(celery_settings(settings))
app.conf.update(task_default_queue="build")


@signals.setup_logging.connect
def _logs(**_: object) -> None:
    set_up_logging(settings.log_level, settings.log_format)
