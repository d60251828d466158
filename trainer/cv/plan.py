"""What a cross-validation is to do: read from the data once, laid down in the run's folder for its fold processes."""

import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from smear.bundle import Bundle
from smear.cells import CELL_TYPES
from smear.geometry import Profile, profile
from smear.labelled import BadDataFolder, LabelledCell, Pixels, data_sha256, load_pixels, read_folder
from smear.plain import PlainError
from trainer.cv.assign import Assignment, assign
from trainer.cv.folder import WORK, write_json
from trainer.draw import by_content, put_aside
from trainer.export import weights_from_bundle
from trainer.recipes import RECIPES, Recipe
from trainer.run_folder import FORMAT, RUN
from trainer.training_set import Progress
from trainer.wnet import PARAMETERS


#: With `tune`, these folds alone are trained, and this share of their training part is what they are scored on.
_TUNED: Final = (0, 1)
_TUNED_ON: Final = 0.1
_VERSIONS_OF: Final = ("torch", "numpy", "scikit-learn", "opencv-python-headless", "wnet-worker")

Rows = npt.NDArray[np.int64]


class OtherCrossValidation(PlainError):
    """The folder holds a run with other data or settings."""


@dataclass(frozen=True)
class Order:
    """One cross-validation as a person asked for it.

    `tune` scores folds 0 and 1 on an inner tenth of their training parts and leaves every test fold alone: for
    choosing a recipe. `elsewhere` is another laboratory's data folder of cut cells, to test every network on.
    """

    out: Path
    data: Path
    geometry: Profile
    recipe: Recipe
    folds: int = 10
    seed: int = 0
    init: Bundle | None = None
    device: str = "cpu"
    tune: bool = False
    elsewhere: Path | None = None
    command: str = "trainer cv"


@dataclass(frozen=True)
class Plan:
    """The order with its data: the cells in memory, their folds, and what `run.json` says."""

    order: Order
    pixels: Pixels
    assignment: Assignment
    run: dict[str, Any]

    @property
    def folds(self) -> list[int]:
        """Numbers of the folds to be trained."""
        return list(_TUNED) if self.order.tune else list(range(self.order.folds))

    def test_rows(self, fold: int) -> Rows:
        """Rows of the cells that fold `fold` is scored on."""
        if self.order.tune:
            return self._inner(np.flatnonzero(self.assignment.fold != fold), _TUNED_ON)[1]
        return np.flatnonzero(self.assignment.fold == fold)

    def fold_rows(self, fold: int) -> tuple[Rows, Rows, Rows]:
        """(train, inner, test): rows to train on, to calibrate on, to be scored on."""
        rest = np.flatnonzero(self.assignment.fold != fold)
        test = self.test_rows(fold)
        if self.order.tune:
            rest = np.setdiff1d(rest, test)
        train, inner = self._inner(rest, self.order.recipe.inner_share)
        return train, inner, test

    def _inner(self, rows: Rows, share: float) -> tuple[Rows, Rows]:
        if not share:
            return rows, rows[:0]
        cells = [replace(self.pixels.cells[i], group=str(self.assignment.group[i])) for i in rows]
        aside = {cell.path for cell in put_aside(cells, share)[1]}
        chosen = np.array([cell.path in aside for cell in cells])
        return rows[~chosen], rows[chosen]


def make(order: Order, progress: Progress = iter) -> Plan:
    """Read, decode and divide the data; raises BadDataFolder where it cannot be cross-validated."""
    cells = read_folder(order.data)
    if order.recipe.pictures_per_type is not None:
        cells = _thinned(cells, order.recipe.pictures_per_type)
    pixels = load_pixels(cells, order.geometry, progress)
    if not pixels.cells:
        raise BadDataFolder(f"{order.data} holds no picture that can be used: {pixels.refused[0][1]}")
    assignment = assign(pixels, order.folds, order.seed)
    return Plan(order, pixels, assignment, _run(order, pixels, assignment))


def lay_down(plan: Plan) -> None:
    """Write `run.json` and what the fold processes need; raises OtherCrossValidation, OSError."""
    order = plan.order
    path = order.out / RUN
    if path.is_file():
        _check_same(order.out, json.loads(path.read_text(encoding="utf-8")), plan.run)
    elif order.out.is_dir() and any(order.out.iterdir()):
        raise OtherCrossValidation(f"{order.out} is not empty and holds no cross-validation; choose another folder")
    work = order.out / WORK
    work.mkdir(parents=True, exist_ok=True)
    _save(work / "pixels.npz", images=plan.pixels.images, labels=plan.pixels.labels)
    for fold in plan.folds:
        train, inner, test = plan.fold_rows(fold)
        _save(work / f"rows-{fold:02d}.npz", train=train, inner=inner, test=test)
    if order.elsewhere is not None:
        other = load_pixels(read_folder(order.elsewhere), profile("whole"))
        _save(work / "elsewhere.npz", images=other.images, labels=other.labels)
    if order.init is not None:
        torch.save(weights_from_bundle(order.init), work / "init.pt")
    if not path.is_file():
        write_json(path, plan.run)


def _run(order: Order, pixels: Pixels, assignment: Assignment) -> dict[str, Any]:
    named, given = RECIPES.get(order.recipe.name), order.recipe
    shortened = None
    if named is not None and given.epochs != named.epochs:
        shortened = f"{given.epochs} of the recipe's {named.epochs} epochs"
    counts = np.bincount(pixels.labels, minlength=len(CELL_TYPES))
    return {
        "format": FORMAT,
        "model": "wnet",
        "parameters": PARAMETERS,
        "recipe": given.name,
        "recipe_settings": asdict(given),
        "shortened": shortened,
        "seed": order.seed,
        "folds": order.folds,
        "tune": order.tune,
        "images": len(pixels.cells),
        "data": order.data.resolve().name,
        "data_sha256": data_sha256(pixels.cells),
        "elsewhere": order.elsewhere.resolve().name if order.elsewhere else None,
        "geometry": order.geometry.name,
        "init": order.init.bundle_id if order.init else None,
        "views": given.views,
        "counts": {t: int(n) for t, n in zip(CELL_TYPES, counts, strict=True)},
        "grouping": assignment.as_json(),
        "refused": [{"file": f"{c.path.parent.name}/{c.path.name}", "reason": r} for c, r in pixels.refused],
        "versions": {"python": platform.python_version()} | {name: version(name) for name in _VERSIONS_OF},
        "commit": _commit(),
        "host": {"cpu": _cpu(), "cores": os.cpu_count(), "device": order.device},
        "command": order.command,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


#: What makes two runs the same one; the rest of `run.json` tells where and when.
_IDENTITY: Final = (
    "format", "model", "recipe_settings", "seed", "folds", "tune", "data_sha256", "elsewhere", "geometry", "init",
)  # fmt: skip


def _check_same(out: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    now = json.loads(json.dumps(now))
    other = [key for key in _IDENTITY if before.get(key) != now.get(key)]
    if other:
        raise OtherCrossValidation(
            f"{out} holds a cross-validation with other {', '.join(other)}; choose another folder, or remove it"
        )


def _thinned(cells: list[LabelledCell], per_type: int) -> list[LabelledCell]:
    kept = {cell.path for t in CELL_TYPES for cell in by_content(c for c in cells if c.cell_type == t)[:per_type]}
    return [cell for cell in cells if cell.path in kept]


def _save(path: Path, **arrays: npt.NDArray[Any]) -> None:
    temporary = path.with_suffix(".partial")
    with temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    temporary.replace(path)


def _commit() -> str | None:
    """The project's commit, None where this is an installed package or git is missing."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"],  # noqa: S607
            cwd=Path(__file__).parent, capture_output=True, text=True, check=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


def _cpu() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
