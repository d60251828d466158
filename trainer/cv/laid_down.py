"""A plan laid down in the run's folder, for the fold processes and for the same command when it comes again."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from smear.plain import PlainError
from trainer.checkpoint import save_whole
from trainer.cv.folder import RUN, WORK, write_json
from trainer.cv.plan import Plan
from trainer.models.face import Model


#: What makes two runs the same one; the rest of `run.json` tells where and when.
_IDENTITY: Final = (
    "format", "model", "seed", "folds", "tune", "data_sha256", "assignment_sha256", "elsewhere_sha256", "geometry",
    "init", "versions",
)  # fmt: skip
_LOCK: Final = "lock"


class OtherCrossValidation(PlainError):
    """The folder holds a run with other data or settings, or something else."""


@contextmanager
def held(out: Path) -> Iterator[None]:
    """Keep the folder for this process while the block runs; raises OtherCrossValidation where another has it."""
    if out.exists() and not out.is_dir():
        raise OtherCrossValidation(f"{out} is no folder")
    if out.is_dir() and any(out.iterdir()) and not (out / RUN).is_file() and not (out / _LOCK).is_file():
        raise OtherCrossValidation(f"{out} is not empty and holds no cross-validation; choose another folder")
    out.mkdir(parents=True, exist_ok=True)
    with (out / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OtherCrossValidation(f"another trainer cv is at work in {out}") from None
        yield


def lay_down(plan: Plan) -> None:
    """Write `run.json` and what the fold processes need; raises OtherCrossValidation, OSError."""
    out, path = plan.order.out, plan.order.out / RUN
    if path.is_file():
        _check_same(path, plan.run, plan.order.model)
    else:
        write_json(path, plan.run)
    work = out / WORK
    work.mkdir(exist_ok=True)
    _save(work / "pixels.npz", images=plan.inputs(), labels=plan.pixels.labels)
    for fold in plan.folds:
        train, inner, test = plan.fold_rows(fold)
        _save(work / f"rows-{fold:02d}.npz", train=train, inner=inner, test=test)
    if plan.elsewhere is not None:
        _save(work / "elsewhere.npz", images=plan.elsewhere.images, labels=plan.elsewhere.labels)
    if plan.init is not None:
        save_whole(plan.init, work / "init.pt")


def _check_same(path: Path, now: dict[str, Any], model: Model) -> None:
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
        other = [key for key in _IDENTITY if before[key] != now[key]]
        if before.get("share", 1) != now.get("share", 1):
            other.append("share")
        # Another model's settings cannot be read as those of this one.
        settings = [model.saved(one["recipe_settings"]) for one in ((now if "model" in other else before), now)]
        if before["host"]["device"] != now["host"]["device"]:
            other.append("device")
    except (ValueError, KeyError, TypeError, ValidationError):
        raise OtherCrossValidation(f"{path} is damaged, or of another version; choose another folder") from None
    if settings[0] != settings[1]:
        other.append("recipe settings")
    if other:
        names = ", ".join(name.replace("_sha256", "").replace("_", " ") for name in other)
        raise OtherCrossValidation(
            f"{path.parent} holds a cross-validation with other {names}; choose another folder, or remove it"
        )


def _save(path: Path, **arrays: npt.NDArray[Any]) -> None:
    temporary = path.with_suffix(".partial")
    with temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    temporary.replace(path)
