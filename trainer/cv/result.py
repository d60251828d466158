"""What the folds came to together: `cv.json`, and every cell's out-of-fold probabilities."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from smear.cells import CELL_TYPES
from trainer.cv.folder import CURVE, PROBABILITIES, RUN, folder_of, variant_file, write_json
from trainer.cv.plan import Plan
from trainer.learning import BrokeOff
from trainer.resample import interval, resample
from trainer.run_folder import CELLS, RESULT
from trainer.scores import Floats, Labels, Scores, score


_CURVE_KEYS: Final = frozenset({"fold", "temperature", "epochs", "single_view_correct", "elsewhere", "seconds"})


def write(plan: Plan, seconds: float) -> dict[str, Any]:
    """Write `cells.parquet` and `cv.json` of a run whose folds are all done; the latter's content is returned.

    `seconds` is what the person waited, over all the times that the command was given. Every variant of the model gets
    a folder of its own in the run's, which is read like any finished run's.
    """
    out = plan.order.out
    left = [_left_by(plan, fold) for fold in plan.folds]
    for name in plan.order.model.variants:
        variant = [_variant(plan, fold, name, curve) for fold, (_, curve) in zip(plan.folds, left, strict=True)]
        (out / name).mkdir(exist_ok=True)
        write_json(out / name / RUN, plan.run | {"variant": name})
        _write_one(plan, out / name, variant, seconds)
    return _write_one(plan, out, left, seconds)


def _write_one(plan: Plan, folder: Path, left: list[tuple[Floats, dict[str, Any]]], seconds: float) -> dict[str, Any]:
    rows = np.concatenate([plan.test_rows(fold) for fold in plan.folds])
    folds = np.concatenate([np.full(len(plan.test_rows(fold)), fold) for fold in plan.folds])
    probabilities = np.concatenate([one for one, _ in left])
    _write_cells(plan, folder, rows, folds, probabilities)
    found = summary(plan, rows, folds, probabilities, [curve for _, curve in left], seconds)
    write_json(folder / RESULT, found)
    return found


def summary(
    plan: Plan, rows: Labels, folds: Labels, probabilities: Floats, results: list[dict[str, Any]], seconds: float
) -> dict[str, Any]:
    """The content of `cv.json`: the rows of the cells, the fold that tested each, (N, 5), and each fold's result."""
    labels = plan.pixels.labels[rows]
    scores = [score(probabilities[folds == fold], labels[folds == fold]) for fold in plan.folds]
    pooled = score(probabilities, labels)
    groups = [plan.assignment.key(plan.pixels.cells[row], row) for row in rows]
    drawn = resample(labels, (probabilities.argmax(axis=1) == labels)[:, None], groups)
    run = plan.run
    return {
        **{key: run[key] for key in ("model", "recipe", "parameters", "images", "data", "data_sha256", "seed")},
        "geometry": run["geometry"],
        "epochs": run["recipe_settings"]["epochs"],
        "shortened": run["shortened"],
        "views": run["views"],
        "init": run["init"],
        "tune": run["tune"],
        "folds": [
            {"fold": fold} | _fold(one, labels[folds == fold]) for fold, one in zip(plan.folds, scores, strict=True)
        ],
        "mean": {
            "recall": {t: _mean([one.recall[t] for one in scores]) for t in CELL_TYPES},
            "class_average": _mean([one.class_average for one in scores]),
            "accuracy": _mean([one.accuracy for one in scores]),
            "accuracy_std": round(float(np.std([one.accuracy for one in scores])), 6),
        },
        "pooled": {
            "recall": {t: _rounded(pooled.recall[t]) for t in CELL_TYPES},
            "class_average": _rounded(pooled.class_average),
            "accuracy": _rounded(pooled.accuracy),
            "ci95": {
                "class_average": _limits(pooled.class_average, drawn.class_average[:, 0]),
                "accuracy": _limits(pooled.accuracy, drawn.accuracy[:, 0]),
            },
            "ece": _rounded(pooled.ece),
            "nll": _rounded(pooled.nll),
            "single_view": _single_view(labels, results),
        },
        "elsewhere": _elsewhere(run["elsewhere"], results),
        "seconds": seconds,
        "fold_seconds": round(sum(one["seconds"] for one in results), 1),
    }


def _left_by(plan: Plan, fold: int) -> tuple[Floats, dict[str, Any]]:
    """What a fold left, probabilities and curve; raises BrokeOff where one is damaged.

    The result is put away then, so that it is made again.
    """
    folder = folder_of(plan.order.out, fold)
    try:
        found: Floats = np.load(folder / PROBABILITIES)
        curve = json.loads((folder / CURVE).read_text(encoding="utf-8"))
        shape = (len(plan.test_rows(fold)), len(CELL_TYPES))
        whole = found.shape == shape and np.isfinite(found).all() and curve.keys() >= _CURVE_KEYS
        whole = whole and all(name in curve.get("variants", {}) for name in plan.order.model.variants)
    except (ValueError, EOFError, AttributeError, TypeError, FileNotFoundError):
        whole = False
    if not whole:
        (folder / PROBABILITIES).unlink(missing_ok=True)
        raise BrokeOff(f"the result of fold {fold} was damaged and has been removed")
    return found, curve


def _variant(plan: Plan, fold: int, name: str, curve: dict[str, Any]) -> tuple[Floats, dict[str, Any]]:
    """As `_left_by`, of the same weights asked in another way."""
    folder = folder_of(plan.order.out, fold)
    try:
        found: Floats = np.load(folder / variant_file(name))
        whole = found.shape == (len(plan.test_rows(fold)), len(CELL_TYPES)) and np.isfinite(found).all()
    except (ValueError, EOFError, AttributeError, FileNotFoundError):
        whole = False
    if not whole:
        (folder / PROBABILITIES).unlink(missing_ok=True)
        raise BrokeOff(f"the result of fold {fold}, {name}, was damaged and has been removed")
    return found, curve | curve["variants"][name]


def _fold(scores: Scores, labels: Labels) -> dict[str, Any]:
    counts = np.bincount(labels, minlength=len(CELL_TYPES))
    return {
        "n": {t: int(n) for t, n in zip(CELL_TYPES, counts, strict=True)},
        "recall": {t: _rounded(scores.recall[t]) for t in CELL_TYPES},
        "accuracy": _rounded(scores.accuracy),
    }


def _single_view(labels: Labels, results: list[dict[str, Any]]) -> dict[str, Any]:
    """The same networks on each picture as it is, which is how a worker asks them."""
    counts = np.bincount(labels, minlength=len(CELL_TYPES))
    right = {t: sum(one["single_view_correct"][t] for one in results) for t in CELL_TYPES}
    recall = {t: _rounded(right[t] / n) if n else None for t, n in zip(CELL_TYPES, counts, strict=True)}
    return {"recall": recall, "class_average": _mean([*recall.values()])}


def _elsewhere(name: str | None, results: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Every fold's network on another laboratory's cells: mean and deviation over the folds."""
    if name is None:
        return None

    def over_folds(scores: list[dict[str, Any]]) -> dict[str, Any]:
        averages = [one["class_average"] for one in scores]
        return {
            "class_average": _mean(averages),
            "class_average_std": round(float(np.std(averages)), 6),
            "recall": {t: _mean([one["recall"][t] for one in scores]) for t in CELL_TYPES},
        }

    found = [one["elsewhere"] for one in results]
    about = {"data": name, "geometry": "whole", "images": found[0]["images"]}
    return about | over_folds(found) | {"colours_standardised": over_folds([one["standardised"] for one in found])}


def _write_cells(plan: Plan, folder: Path, rows: Labels, folds: Labels, probabilities: Floats) -> None:
    cells = [plan.pixels.cells[row] for row in rows]
    groups = [plan.assignment.key(cell, row) for cell, row in zip(cells, rows, strict=True)]
    columns = {
        "file": [cell.shown for cell in cells],
        "sha256": [cell.sha256 for cell in cells],
        "group": pa.array(groups, pa.string()),
        "fold": pa.array(folds, pa.int32()),
        "type": [str(cell.cell_type) for cell in cells],
    }
    columns |= {f"p_{t}": pa.array(probabilities[:, i], pa.float32()) for i, t in enumerate(CELL_TYPES)}
    partial = folder / f".{CELLS}"
    with partial.open("wb") as file:  # pyarrow takes no path that is no UTF-8
        pq.write_table(pa.table(columns), file)
    partial.replace(folder / CELLS)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(float(np.mean(known)), 6) if known else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _limits(value: float, draws: np.ndarray[Any, np.dtype[np.float64]]) -> list[float]:
    found = interval(value, draws)
    return [round(found.low, 6), round(found.high, 6)]
