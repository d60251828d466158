"""What these tests work on: the shipped pictures, a tiny data folder made of them, larger sets where they are."""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from smear import bundle, shipped
from smear.bundle import Bundle
from smear.cells import CELL_TYPES
from smear.labelled import Pixels
from trainer import produce


# Tests run in a process a core, as folds do: more threads than cores wait for each other, busily.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def holdout() -> Pixels:
    return produce.shipped_holdout()


@pytest.fixture(scope="session")
def shipped_bundle() -> Bundle:
    return bundle.load(shipped.folder("models") / "wnet-pbc")


@pytest.fixture
def make_data(tmp_path: Path) -> Callable[..., Path]:
    """make_data(per_type=4, leave_out=(), name="data"): the first hold-out pictures of each type, a data folder."""

    def make(per_type: int = 4, leave_out: tuple[str, ...] = (), name: str = "data") -> Path:
        for cell_type in CELL_TYPES:
            if cell_type not in leave_out:
                folder = tmp_path / name / cell_type
                folder.mkdir(parents=True)
                for picture in sorted((shipped.folder("holdout") / cell_type).iterdir())[:per_type]:
                    shutil.copy(picture, folder)
        return tmp_path / name

    return make


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of larger sets; WNET_TEST_DATA says where, else it lies beside the checkout."""
    beside = Path(__file__).parents[2].parent / "shared" / "data"
    folder = Path(os.environ.get("WNET_TEST_DATA") or beside)
    if not (folder / "pbc").is_dir():
        pytest.skip("needs the data set pbc: set WNET_TEST_DATA to the folder that holds it")
    return folder


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """make_run(name="run", wrong={("neutrophil", 0): "monocyte"}, ...): a finished cross-validation's folder.

    `per_type` cells of each type in `folds` folds, all right but for `wrong` ((true type, number) -> predicted type).
    Their pictures are in tmp_path/data; `rename` ((true type, number) -> file) calls some of them otherwise. `groups`
    ((true type, number) -> group), `info` (keys of run.json), `offset` (other contents) and `curves` vary the rest.
    """

    def make(
        name: str = "run",
        *,
        per_type: int = 6,
        folds: int = 3,
        wrong: dict[tuple[str, int], str] | None = None,
        rename: dict[tuple[str, int], str] | None = None,
        groups: dict[tuple[str, int], str] | None = None,
        info: dict[str, Any] | None = None,
        offset: int = 0,
        curves: bool = True,
    ) -> Path:
        keys = [(t, i) for t in CELL_TYPES for i in range(per_type)]
        predicted = [(wrong or {}).get(key, key[0]) for key in keys]
        files = [(rename or {}).get((t, i), f"{t}/{t}_{i:02}.png") for t, i in keys]
        contents = [_picture(n + offset) for n in range(len(keys))]
        for file, content in zip(files, contents, strict=True):
            (tmp_path / "data" / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "data" / file).write_bytes(content)
        run = tmp_path / name
        run.mkdir()
        columns: dict[str, Any] = {
            "file": files,
            "sha256": [hashlib.sha256(content).hexdigest() for content in contents],
            "group": pa.array([(groups or {}).get(key) for key in keys], pa.string()),
            "fold": pa.array([i % folds for _, i in keys], pa.int32()),
            "type": [t for t, _ in keys],
        }
        for t in CELL_TYPES:
            columns[f"p_{t}"] = pa.array([0.8 if t == p else 0.05 for p in predicted], pa.float32())
        with (run / "cells.parquet").open("wb") as file:
            pq.write_table(pa.table(columns), file)
        results = [_fold(fold, folds, keys, predicted) for fold in range(folds)]
        (run / "cv.json").write_text(json.dumps({"folds": results, "seconds": 5400.0}))
        (run / "run.json").write_text(json.dumps(_run_info(folds, per_type) | (info or {})))
        for result in results if curves else []:
            folder = run / "folds" / f"{result['fold']:02}"
            folder.mkdir(parents=True)
            (folder / "curve.json").write_text(json.dumps(_curve(result)))
        return run

    return make


def _picture(number: int) -> bytes:
    """A PNG of 40x40 pixels in a colour of its own."""
    pixels = np.full((40, 40, 3), [50 + number, 120, 255 - number], np.uint8)
    pixels[10:30, 10:30] = 90
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="png")
    return buffer.getvalue()


def _fold(fold: int, folds: int, keys: list[tuple[str, int]], predicted: list[str]) -> dict[str, Any]:
    own = [(t, p == t) for (t, i), p in zip(keys, predicted, strict=True) if i % folds == fold]
    right = {t: [ok for name, ok in own if name == t] for t in CELL_TYPES}
    recall = {t: sum(oks) / len(oks) if oks else None for t, oks in right.items()}
    accuracy = sum(ok for _, ok in own) / len(own)
    return {"fold": fold, "n": {t: len(oks) for t, oks in right.items()}, "recall": recall, "accuracy": accuracy}


def _run_info(folds: int, per_type: int) -> dict[str, Any]:
    return {
        "format": 1, "model": "wnet", "parameters": 16806949, "recipe": "best",
        "recipe_settings": {"epochs": 3, "batch": 64, "augmentation": {"scale": 0.15}}, "shortened": None, "seed": 0,
        "folds": folds, "images": 5 * per_type, "data": "pbc", "data_sha256": "ab" * 32, "geometry": "whole",
        "init": None, "views": 8, "counts": dict.fromkeys(CELL_TYPES, per_type),
        "grouping": {"metadata_groups": 0, "exact_duplicates": 0, "near_duplicate_groups": 1,
                     "near_duplicate_pictures": 2, "largest": 2, "examples": [["a/<1>.png", "a/2.png"]]},
        "refused": [], "versions": {"torch": "2.13.0"}, "commit": None,
        "host": {"cpu": "a processor", "cores": 2, "device": "cpu"},
        "command": "trainer cv --folds 3", "created": "2026-11-23T04:00:00+00:00",
    }  # fmt: skip


def _curve(result: dict[str, Any]) -> dict[str, Any]:
    test = {"class_average": 0.9, "accuracy": result["accuracy"], "recall": result["recall"]}
    epochs = [
        {"epoch": n, "loss": 1 / n, "learning_rate": 3e-4, "seconds": 30.0, "test": test} for n in range(1, 4)
    ]  # fmt: skip
    return {"fold": result["fold"], "temperature": 0.9, "seconds": 100.0, "epochs": epochs}
