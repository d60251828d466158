"""engine_build's Celery app: `celery -A engine_build worker -Q build`. It alone acts at import here."""

import sys

from celery import Celery, signals

from smear.celery_settings import celery_settings
from smear.logs import set_up_logging
from smear.settings import BadSettings, load_settings


try:
    settings = load_settings()
except BadSettings as error:
    print(f"settings: {error}", file=sys.stderr)  # noqa: T201 - there is no log yet
    sys.exit(2)

app = Celery("engine_build", include=["engine_build.tasks"])
app.conf.update(celery_settings(settings))
app.conf.update(task_default_queue="build")


@signals.setup_logging.connect
def _logs(**_: object) -> None:
    set_up_logging(settings.log_level, settings.log_format)
