"""A data folder small enough to be cross-validated in seconds, the command as a person gives it, and fake folds."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from smear import shipped
from smear.cells import CELL_TYPES
from smear.geometry import profile
from trainer import cli
from trainer.cv import campaign
from trainer.cv import plan as planning
from trainer.cv.folder import CURVE, PROBABILITIES, folder_of, is_done, write_json
from trainer.cv.laid_down import held, lay_down
from trainer.cv.plan import Order
from trainer.recipes import Recipe


PER_TYPE = 8
FOLDS = 2
EPOCHS = 2


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory) -> Path:
    """Eight shipped pictures of each type. Not to be changed: see `own_data`."""
    root = tmp_path_factory.mktemp("cv") / "tiny"
    for cell_type in CELL_TYPES:
        (root / cell_type).mkdir(parents=True)
        for picture in sorted((shipped.folder("holdout") / cell_type).iterdir())[:PER_TYPE]:
            shutil.copy(picture, root / cell_type)
    return root


@pytest.fixture
def own_data(tiny_data, tmp_path) -> Path:
    """The same pictures for this test alone."""
    return Path(shutil.copytree(tiny_data, tmp_path / "tiny"))


@pytest.fixture(scope="session")
def tiny_recipe(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.json"
    path.write_text(json.dumps({"name": "tiny", "epochs": EPOCHS, "batch": 8, "inner_share": 0.2}), encoding="utf-8")
    return path


@pytest.fixture
def make_order(tiny_data, tmp_path) -> Callable[..., Order]:
    """make_order(data=..., recipe=..., ...): an order for tmp_path/run, of two folds unless told otherwise."""

    def make(data: Path = tiny_data, **more) -> Order:
        tiny = Recipe(name="tiny", epochs=EPOCHS, batch=8, inner_share=0.2)
        given = {"out": tmp_path / "run", "geometry": profile("whole"), "recipe": tiny, "folds": FOLDS}
        return Order(data=data, **(given | more))

    return make


@pytest.fixture(scope="session")
def start_cv(tiny_data, tiny_recipe) -> Callable[..., "subprocess.Popen[str]"]:
    """start_cv(out, *more): `trainer cv` in two folds, side by side, as a process of its own group."""

    def start(out: Path, *more: object, data: Path = tiny_data, recipe: Path | str = tiny_recipe, **kwargs: object):
        program = [sys.executable, "-c", "from trainer.cli import main; main()"]
        return subprocess.Popen(
            [*program, *_call(out, data, recipe, ("--jobs", 2, *more))],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
            env=os.environ | {"COLUMNS": "200"}, **kwargs,
        )  # fmt: skip

    return start


@pytest.fixture(scope="session")
def finished(start_cv, tmp_path_factory) -> Path:
    """The folder of an undisturbed run."""
    out = tmp_path_factory.mktemp("finished") / "run"
    process = start_cv(out)
    printed, said = process.communicate(timeout=90)
    assert process.returncode == 0, said
    assert json.loads(printed) == json.loads((out / "cv.json").read_text(encoding="utf-8"))
    return out


class FakeFolds:
    """In the place of `run_folds`: leaves what the processes would, but its networks have learnt nothing.

    They are right of nine cells in ten. `trained` are the folds that it was asked for and did.
    """

    def __init__(self) -> None:
        self.trained: list[int] = []

    def __call__(self, out: Path, folds: list[int], jobs: int, said: Callable[..., object]) -> None:
        for fold in folds:
            if not is_done(out, fold):
                self.trained.append(fold)
                _leave(out, fold)
                said(fold, {"done": True})


def _leave(out: Path, fold: int) -> None:
    rng = np.random.default_rng(fold)
    with np.load(out / "work" / "pixels.npz") as pixels, np.load(out / "work" / f"rows-{fold:02d}.npz") as rows:
        labels = pixels["labels"][rows["test"]]
    given = np.where(rng.random(len(labels)) < 0.9, labels, rng.integers(5, size=len(labels)))
    probabilities = np.full((len(labels), 5), 0.05, np.float32)
    probabilities[np.arange(len(labels)), given] = 0.8
    right = {t: int((given == labels)[labels == i].sum()) for i, t in enumerate(CELL_TYPES)}
    recall = dict.fromkeys(CELL_TYPES, 0.5 + 0.1 * fold)
    elsewhere = {"images": 40, "class_average": 0.3 + 0.1 * fold, "recall": recall}
    standardised = {"images": 40, "class_average": 0.6 + 0.1 * fold, "recall": recall}
    there = (out / "work" / "elsewhere.npz").is_file()
    test = {"class_average": 0.9, "accuracy": 0.9, "recall": recall}
    curve = {
        "fold": fold, "temperature": 1.1, "seconds": 10.0, "single_view_correct": right,
        "epochs": [{"epoch": 1, "loss": 0.5, "learning_rate": 1e-4, "seconds": 5.0, "test": test}],
        "elsewhere": elsewhere | {"standardised": standardised} if there else None,
    }  # fmt: skip
    folder = folder_of(out, fold)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / CURVE, curve)
    np.save(folder / PROBABILITIES, probabilities)


@pytest.fixture
def fake_folds(monkeypatch) -> FakeFolds:
    fake = FakeFolds()
    monkeypatch.setattr(campaign, "run_folds", fake)
    return fake


@pytest.fixture
def cv(fake_folds, tiny_data, tiny_recipe, monkeypatch):
    """cv(out, *more): `trainer cv` in this process, with fake folds, and without the report where nobody reads it."""
    monkeypatch.setenv("COLUMNS", "200")

    def call(out: Path, *more: object, data=tiny_data, recipe=tiny_recipe, report: bool = False):
        with monkeypatch.context() as patch:
            if not report:
                patch.setattr("trainer.report.write.write", lambda *_: None)
            return CliRunner().invoke(cli.app, _call(out, data, recipe, more))

    return call


@pytest.fixture
def lay(make_order) -> Callable[..., planning.Plan]:
    """lay(**order): plan it, and lay it down as the command does."""

    def go(**order: object) -> planning.Plan:
        plan = planning.make(make_order(**order))
        with held(plan.order.out):
            lay_down(plan)
        return plan

    return go


def _call(out: Path, data: Path, recipe: Path | str, more: tuple[object, ...]) -> list[str]:
    words = ("cv", "--data", data, "--out", out, "--recipe", recipe, "--folds", FOLDS, "--geometry", "whole", "--json")
    return [str(word) for word in (*words, *more)]


def one_sentence(printed: str, said: str) -> str:
    """The last line of a command that said no, and nothing on standard output."""
    assert printed == ""
    assert "Traceback" not in said
    last = [line for line in said.splitlines() if line.strip()][-1]
    assert last.startswith("trainer: ")
    return last


def refusal(result) -> str:
    """The sentence of a command, run in this process, that was called wrongly."""
    assert result.exit_code == 2, result.stderr
    assert isinstance(result.exception, SystemExit)
    return one_sentence(result.stdout, result.stderr)
