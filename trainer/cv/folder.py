"""Names and places in a cross-validation's folder that the run and its fold processes share."""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt


#: What was ordered, and where and when; written first.
RUN: Final = "run.json"
#: What the fold processes read; removed when the run is finished.
WORK: Final = "work"
CURVE: Final = "curve.json"
#: A fold's state while it trains; removed when it has its result.
CHECKPOINT: Final = "checkpoint.pt"
#: (n, 5) float32 for the fold's test cells, in the order of their rows; written last.
PROBABILITIES: Final = "probabilities.npy"


def folder_of(out: Path, fold: int) -> Path:
    """Where a fold keeps its checkpoint and leaves its result."""
    return out / "folds" / f"{fold:02d}"


def is_done(out: Path, fold: int) -> bool:
    """Whether the fold has its result."""
    return (folder_of(out, fold) / PROBABILITIES).is_file()


def variant_file(name: str) -> str:
    """As PROBABILITIES, of the same weights asked in another way."""
    return f"variant-{name}.npy"


def save_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Replace the file in one step."""
    temporary = path.with_suffix(".partial")
    with temporary.open("wb") as file:
        np.save(file, array)
    temporary.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Replace the file in one step."""
    temporary = path.with_suffix(".partial")
    temporary.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)
