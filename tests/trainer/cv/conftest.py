"""A data folder small enough to be cross-validated in seconds, and the command as a person gives it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from smear import shipped
from smear.cells import CELL_TYPES


PER_TYPE = 8
FOLDS = 2
EPOCHS = 2


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory) -> Path:
    """Eight shipped pictures of each type."""
    root = tmp_path_factory.mktemp("cv") / "tiny"
    for cell_type in CELL_TYPES:
        (root / cell_type).mkdir(parents=True)
        for picture in sorted((shipped.folder("holdout") / cell_type).iterdir())[:PER_TYPE]:
            shutil.copy(picture, root / cell_type)
    return root


@pytest.fixture(scope="session")
def tiny_recipe(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.json"
    path.write_text(json.dumps({"name": "tiny", "epochs": EPOCHS, "batch": 8, "inner_share": 0.2}), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def start_cv(tiny_data, tiny_recipe) -> Callable[..., "subprocess.Popen[str]"]:
    """start_cv(out, *more): `trainer cv` in two folds as a process of its own group."""

    def start(out: Path, *more: object, data: Path = tiny_data, recipe: Path | str = tiny_recipe, **kwargs: object):
        return subprocess.Popen(
            [
                sys.executable, "-c", "from trainer.cli import main; main()", "cv", "--data", str(data), "--out",
                str(out), "--recipe", str(recipe), "--folds", str(FOLDS), "--geometry", "whole", "--json",
                *map(str, more),
            ],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
            env=os.environ | {"COLUMNS": "200"}, **kwargs,
        )  # fmt: skip

    return start


@pytest.fixture(scope="session")
def finished(start_cv, tmp_path_factory) -> Path:
    """The folder of an undisturbed run."""
    out = tmp_path_factory.mktemp("finished") / "run"
    process = start_cv(out)
    printed, said = process.communicate(timeout=170)
    assert process.returncode == 0, said
    assert json.loads(printed) == json.loads((out / "cv.json").read_text(encoding="utf-8"))
    return out
