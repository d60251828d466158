"""A cross-validation from its order to its result."""

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from trainer.cv import plan as planning
from trainer.cv import result
from trainer.cv.folder import CHECKPOINT, WORK, folder_of, is_done, write_json
from trainer.cv.laid_down import lay_down
from trainer.cv.live import live
from trainer.cv.plan import Order, Plan
from trainer.cv.side_by_side import run_folds
from trainer.training_set import Progress


#: Seconds of work in the folder, over all the times that the command was given.
_SECONDS: Final = "seconds.json"


def prepare(order: Order, progress: Progress = iter) -> Plan:
    """Read the data, divide it, and lay it down for the fold processes.

    Raises BadDataFolder and OtherCrossValidation for what cannot be done, OSError where the disk takes no more.
    """
    plan = planning.make(order, progress)
    lay_down(plan)
    return plan


def cross_validate(plan: Plan, jobs: int, console: Console, started: float) -> dict[str, Any]:
    """Do what is not done yet of the plan; the content of `cv.json`. Raises BrokeOff for what can be gone on with.

    `started` is when the command was given, on the monotonic clock.
    """
    out = plan.order.out
    since = _seconds_before(out) - started
    done = [fold for fold in plan.folds if is_done(out, fold)]

    with live(console, plan.folds, done) as shown:

        def said(fold: int, message: dict[str, Any]) -> None:
            shown.said(fold, message)
            if "epoch" in message or "done" in message:
                write_json(out / _SECONDS, round(time.monotonic() + since, 3))

        run_folds(out, plan.folds, jobs or _cores(), said)
    found = result.write(plan, _seconds_before(out))
    # Drawing takes a second to import, which the commands that draw nothing need not wait for.
    from trainer.report.write import write as write_report  # noqa: PLC0415

    write_report(out, plan.order.data, plan.order.geometry)
    shutil.rmtree(out / WORK, ignore_errors=True)
    for fold in plan.folds:
        # 200 MB, left by a process that was killed between its result and its end.
        (folder_of(out, fold) / CHECKPOINT).unlink(missing_ok=True)
    return found


def _seconds_before(out: Path) -> float:
    try:
        return float(json.loads((out / _SECONDS).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return 0.0


def _cores() -> int:
    """Cores this process may use; one fold a core."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
