"""The trainer's Celery app: `celery -A trainer worker -Q train`, and the schedule: `celery -A trainer beat`."""

import sys
from functools import partial
from typing import Any

from celery import Celery, signals
from celery.schedules import crontab
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.redis import Transport
from tzlocal import get_localzone_name

from smear.celery_settings import celery_settings
from smear.junk import tolerant
from smear.logs import set_up_logging
from smear.nightly_schedule import EXPIRES_SECONDS, schedule
from smear.settings import BadSettings, load_settings


try:
    settings = load_settings()
except BadSettings as error:
    print(f"settings: {error}", file=sys.stderr)  # noqa: T201 - there is no log yet
    sys.exit(2)

# By the schemes of the address (redis+socket:// is `redis` too): kombu's own transport ends at what is no message.
_tolerant: Any = partial(tolerant, Transport)  # kombu takes a function for a name
TRANSPORT_ALIASES.update(redis=_tolerant, rediss=_tolerant)

app = Celery("trainer", include=["trainer.tasks"])
app.conf.update(celery_settings(settings))
app.conf.update(
    task_default_queue="train",
    # The clock on the wall: a laboratory's night, also where summer time begins.
    timezone=get_localzone_name(),
    # The scheduler's own memory of what it sent last; without it a start after 02:00 would forget the night before.
    beat_schedule_filename=str(settings.var / "schedule"),
    beat_schedule={
        name: {
            "task": task,
            "schedule": crontab(**when) if isinstance(when, dict) else when,
            "options": {"queue": queue, "expires": EXPIRES_SECONDS[task]},
        }
        for name, (task, when, queue) in schedule(settings).items()
    },
)


@signals.setup_logging.connect
def _logs(**_: object) -> None:
    set_up_logging(settings.log_level, settings.log_format)
