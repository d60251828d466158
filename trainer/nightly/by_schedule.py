"""A night by schedule: training in a process of its own, at the lowest priority; the build handed to its room."""

import subprocess
import sys
from functools import cache
from typing import Any, Final

import structlog
from celery import current_app
from kombu.exceptions import OperationalError

from smear import extras, runs
from smear.nightly_schedule import EXPIRES_SECONDS
from smear.priority import idle
from smear.settings import load_settings
from smear.store import Store, schema_problem


log: Final = structlog.get_logger()


def go_on(*, begin: bool) -> None:
    """Do what is next of the night: in a process of its own here, or by a message to engine_build's queue."""
    if lacking := extras.missing("train"):
        _say_once(", ".join(lacking))
        return
    store = Store(load_settings().database)
    try:
        if (problem := schema_problem(store)) is not None:
            log.warning("the night waits for the database", reason=problem)
            return
        stage = _next(store)
        if (begin or stage is not None) and (stage is None or stage.stage != "build"):
            run_process()
            stage = _next(store)
        if stage is not None and stage.stage == "build":
            _hand_over(stage.night)
    finally:
        store.close()


@cache
def _say_once(missing: str) -> None:
    """Log what is missing: once a process, though the schedule asks every few minutes."""
    log.warning("no nightly fine-tune on this host", missing=missing, install=extras.install_line("train"))


def run_process() -> int:
    """`trainer nightly --by-schedule`, idle and nice; its exit code. Ends with this process."""
    call = [sys.executable, "-P", "-c", "from trainer.cli import main; main()", "nightly", "--by-schedule"]
    process = subprocess.Popen(call, stdin=subprocess.DEVNULL, preexec_fn=idle)  # noqa: S603, PLW1509 - our own words; a few system calls
    try:
        return process.wait()
    except BaseException:
        process.terminate()  # told to stop: the next one goes on from the last epoch
        process.wait()
        raise


def _hand_over(night: str) -> None:
    try:
        # Sent again by each look of the schedule until it is done.
        current_app.send_task(runs.BUILD, args=[night], queue="build", expires=EXPIRES_SECONDS[runs.BUILD])
    except OperationalError as error:
        log.warning("the broker does not answer; the schedule tries again", night=night, reason=type(error).__name__)


def _next(store: Store) -> Any:
    with store.read() as session:
        return runs.next_stage(runs.latest(session))
