"""A cross-validation's folder, read back: what was run, what each fold came to, and what was said of every cell."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from smear.cells import CELL_TYPES
from smear.plain import PlainError
from trainer.cv.folder import RUN
from trainer.scores import Floats, Labels


FORMAT: Final = 1
CELLS: Final = "cells.parquet"
RESULT: Final = "cv.json"
CURVES: Final = "folds/*/curve.json"

_PROBABILITIES: Final = tuple(f"p_{name}" for name in CELL_TYPES)
_Kind = TypeVar("_Kind", bound=BaseModel)
_COLUMNS: Final = ("file", "sha256", "group", "fold", "type", *_PROBABILITIES)


class UnfinishedRun(PlainError):
    """A folder that holds no finished cross-validation, or a damaged one; its text says what is missing."""


class _Read(BaseModel):
    """Later versions may write more than this one reads."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Grouping(_Read):
    """What was kept on one side of each split; `examples` are some of the near-duplicate groups, by file."""

    metadata_groups: int = 0
    exact_duplicates: int = 0
    near_duplicate_groups: int = 0
    near_duplicate_pictures: int = 0
    largest: int = 0
    examples: list[list[str]] = Field(default_factory=list)


class Refused(_Read):
    """A picture that could not be used."""

    file: str
    reason: str


class RunInfo(_Read):
    """run.json, format 1: what was run, on what, by what.

    `tune`: some folds alone, scored on an inner part of their training pictures, to choose a recipe by. `share` of each
    training part that was trained on. `variant`: the same weights as those of the run one folder up, asked in another
    way. `parameters` is None where their number depends on the data.
    """

    format: int
    model: str
    parameters: int | None
    recipe: str
    recipe_settings: dict[str, Any]
    shortened: str | None = None
    seed: int
    folds: int = Field(ge=1)
    tune: bool = False
    share: float = 1.0
    variant: str | None = None
    images: int
    data: str
    data_sha256: str
    geometry: str
    init: str | None = None
    views: int = 1
    counts: dict[str, int]
    grouping: Grouping = Grouping()
    refused: list[Refused] = Field(default_factory=list)
    versions: dict[str, str] = Field(default_factory=dict)
    commit: str | None = None
    host: dict[str, Any] = Field(default_factory=dict)
    command: str = ""
    created: str = ""

    @property
    def settings(self) -> dict[str, Any]:
        """The recipe's settings, nested ones as "augmentation.scale"."""
        return dict(_flatten(self.recipe_settings))


class Fold(_Read):
    """One line of cv.json: cells of each type, recall of each (None where there were none), accuracy."""

    fold: int
    n: dict[str, int]
    recall: dict[str, float | None]
    accuracy: float

    @property
    def class_average(self) -> float | None:
        """Mean recall of the types that the fold holds."""
        found = [value for value in self.recall.values() if value is not None]
        return float(np.mean(found)) if found else None


class ClassAverage(_Read):
    """One figure of the same networks, asked in another way."""

    class_average: float | None


class Elsewhere(ClassAverage):
    """Every fold's network on another laboratory's cells: the mean and the deviation over the folds."""

    data: str
    images: int
    class_average_std: float | None = None
    colours_standardised: ClassAverage | None = None


class PooledResult(_Read):
    """What cv.json alone knows of all folds together; everything else is counted again from the cells."""

    single_view: ClassAverage | None = None


class Result(_Read):
    """What is read of cv.json."""

    folds: list[Fold] = Field(min_length=1)
    pooled: PooledResult = PooledResult()
    elsewhere: Elsewhere | None = None
    seconds: float


class Observed(_Read):
    """What one epoch came to on the fold's own test pictures; nothing is chosen by it."""

    class_average: float | None = None
    accuracy: float | None = None
    recall: dict[str, float | None] = Field(default_factory=dict)


class CurveEpoch(_Read):
    """One epoch of a fold; `loss` over the training part."""

    epoch: int
    loss: float | None
    test: Observed | None = None


class Curve(_Read):
    """curve.json of one fold; `temperature` as fitted on its inner split."""

    fold: int
    temperature: float | None = None
    epochs: list[CurveEpoch]


@dataclass(frozen=True)
class Cells:
    """N judged pictures: what the network that had not seen a picture said of it.

    `folds` (N,) int64; `labels` (N,) int64 into CELL_TYPES; `probabilities` (N, 5) float32, as the softmax gave them.
    """

    files: list[str]
    sha256: list[str]
    groups: list[str | None]
    folds: Labels
    labels: Labels
    probabilities: Floats

    @cached_property
    def predicted(self) -> Labels:
        """(N,) the likeliest type of each."""
        likeliest: Labels = self.probabilities.argmax(axis=1).astype(np.int64)
        return likeliest

    @cached_property
    def right(self) -> npt.NDArray[np.bool_]:
        """(N,) whether the likeliest type is the true one."""
        right: npt.NDArray[np.bool_] = self.predicted == self.labels
        return right


@dataclass(frozen=True)
class Run:
    """A finished cross-validation."""

    folder: Path
    info: RunInfo
    cells: Cells


def open_run(folder: Path) -> Run:
    """run.json and cells.parquet of a finished run; raises UnfinishedRun."""
    if not (folder / CELLS).is_file():
        raise UnfinishedRun(f"{folder} holds no {CELLS}: no cross-validation has finished there")
    info = _model(RunInfo, folder / RUN)
    if info.format != FORMAT:
        raise UnfinishedRun(f"{folder / RUN} is of format {info.format}, this version reads {FORMAT}")
    return Run(folder, info, _cells(folder / CELLS))


def read_result(folder: Path) -> Result:
    """cv.json of a finished run; raises UnfinishedRun."""
    return _model(Result, folder / RESULT)


def read_curves(folder: Path) -> list[Curve]:
    """The learning curves that are there, by fold; a damaged one raises UnfinishedRun."""
    return sorted((_model(Curve, file) for file in folder.glob(CURVES)), key=lambda curve: curve.fold)


def _flatten(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _model(kind: type[_Kind], file: Path) -> _Kind:
    try:
        return kind.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UnfinishedRun(f"{file.parent} holds no {file.name}: no cross-validation has finished there") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UnfinishedRun(f"{file} cannot be used: {where}: {first['msg']}") from None
    except (ValueError, OSError) as error:
        raise UnfinishedRun(f"{file} cannot be read: {error}") from None


def _cells(file: Path) -> Cells:
    try:
        with file.open("rb") as content:  # pyarrow takes no path that is no UTF-8
            table = pq.read_table(content, columns=list(_COLUMNS))
    except (pa.ArrowException, OSError) as error:
        raise UnfinishedRun(f"{file} cannot be read: {' '.join(str(error).split())}") from None
    if missing := [name for name in _COLUMNS if name not in table.column_names]:
        raise UnfinishedRun(f"{file} lacks the columns {', '.join(missing)}")
    column: Mapping[str, list[Any]] = {name: table[name].to_pylist() for name in _COLUMNS}
    if not column["sha256"]:
        raise UnfinishedRun(f"{file} holds no cells")
    if unknown := set(column["type"]) - set(CELL_TYPES):
        raise UnfinishedRun(f"{file} holds the cell type {min(map(repr, unknown))}, which is none of the five")
    probabilities = np.array([column[name] for name in _PROBABILITIES], np.float32).T
    if not np.isfinite(probabilities).all():
        raise UnfinishedRun(f"{file} holds probabilities that are no numbers")
    return Cells(
        files=column["file"],
        sha256=column["sha256"],
        groups=column["group"],
        folds=np.array(column["fold"], np.int64),
        labels=np.array([CELL_TYPES.index(name) for name in column["type"]], np.int64),
        probabilities=np.ascontiguousarray(probabilities),
    )
