"""engine_build's Celery tasks: the stage `build` of a night, and the message that hands the night back."""

import contextlib
import subprocess
import sys

from celery import current_app, shared_task
from kombu.exceptions import OperationalError

from smear.nightly_schedule import RESUME
from smear.priority import idle
from smear.runs import BUILD


@shared_task(name=BUILD)
def nightly(night: str) -> None:
    """Build and verify the challenger's compiled forms, then let the trainer go on."""
    call = [sys.executable, "-P", "-c", "from engine_build.start import main; main()", "nightly", night]
    # Memory and priority are the process's own: both end with it. What came of it is in the stage's row.
    subprocess.run(call, check=False, stdin=subprocess.DEVNULL, preexec_fn=idle)  # noqa: S603
    with contextlib.suppress(OperationalError):  # then the schedule goes on with it
        current_app.send_task(RESUME, queue="train")
