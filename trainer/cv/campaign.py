"""A cross-validation from its order to its result."""

import os
import shutil
from typing import Any

from rich.console import Console

from trainer.cv import plan as planning
from trainer.cv import result
from trainer.cv.folder import WORK, is_done
from trainer.cv.live import live
from trainer.cv.plan import Order, Plan
from trainer.cv.side_by_side import run_folds
from trainer.training_set import Progress


def prepare(order: Order, progress: Progress = iter) -> Plan:
    """Read the data, divide it, and lay it down for the fold processes.

    Raises BadDataFolder and OtherCrossValidation for what cannot be done, OSError where the disk takes no more.
    """
    plan = planning.make(order, progress)
    planning.lay_down(plan)
    return plan


def cross_validate(plan: Plan, jobs: int, console: Console) -> dict[str, Any]:
    """Do what is not done yet of the plan; the content of `cv.json`. Raises BrokeOff for what can be gone on with."""
    out = plan.order.out
    done = [fold for fold in plan.folds if is_done(out, fold)]
    with live(console, plan.folds, done) as shown:
        run_folds(out, plan.folds, jobs or _cores(), shown.said)
    found = result.write(plan)
    # Drawing takes a second to import, which the commands that draw nothing need not wait for.
    from trainer.report.write import write as write_report  # noqa: PLC0415

    write_report(out, plan.order.data, plan.order.geometry)
    shutil.rmtree(out / WORK)
    return found


def _cores() -> int:
    """Cores this process may use; one fold a core."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
