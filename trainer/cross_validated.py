"""What a bundle tells of the cross-validation of its recipe: scores of its like, on cells they never saw."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from smear.plain import PlainError
from trainer.models.catalogue import WNET
from trainer.run_folder import RESULT, UnfinishedRun


class NoCrossValidation(PlainError):
    """The folder's figures cannot stand for a bundle."""


class _Pooled(BaseModel):
    model_config = ConfigDict(extra="ignore")
    recall: dict[str, float | None]
    class_average: float
    accuracy: float
    ci95: dict[str, tuple[float, float]]
    single_view: dict[str, Any]


class _Result(BaseModel):
    model_config = ConfigDict(extra="ignore")
    model: str = WNET.name
    recipe: str
    epochs: int
    seed: int
    images: int
    data: str
    data_sha256: str
    views: int
    tune: bool
    folds: list[dict[str, Any]]
    pooled: _Pooled
    elsewhere: dict[str, Any] | None = None


def read(run: Path) -> dict[str, Any]:
    """The figures of a finished run that stand in a manifest; raises UnfinishedRun, NoCrossValidation."""
    path = run / RESULT
    if not path.is_file():
        raise UnfinishedRun(f"{run} holds no {RESULT}: no cross-validation has finished there")
    try:
        found = _Result.model_validate_json(path.read_bytes())
    except ValueError:
        raise UnfinishedRun(f"{path} is damaged, or of another version") from None
    if found.tune:
        raise NoCrossValidation(f"{run} holds a tuning run, whose figures are no result")
    if found.model != WNET.name:
        raise NoCrossValidation(f"{run} holds a cross-validation of {found.model}: it says nothing of a {WNET.title}")
    return found.model_dump(mode="json", exclude={"tune", "folds", "model"}) | {"folds": len(found.folds)}
