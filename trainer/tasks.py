"""The trainer's Celery tasks, a line each."""

from celery import shared_task

from smear.nightly_schedule import RESUME
from smear.runs import GO_ON
from trainer.nightly.by_schedule import go_on


@shared_task(name=GO_ON)
def nightly() -> None:
    """Begin tonight's run, or go on with one."""
    go_on(begin=True)


@shared_task(name=RESUME)
def resume() -> None:
    """Go on with a night that is unfinished, whoever left it."""
    go_on(begin=False)
