"""Two bundles on the same labelled pictures: recall by type, class average, how they differ and within what limits."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from smear.bundle import Bundle
from smear.cells import CELL_TYPES
from smear.geometry import profile
from smear.labelled import BadDataFolder, load_pixels, read_folder
from smear.paired import paired
from smear.plain import PlainError
from worker.engines.face import Engine


_BATCH: Final = 64
_RESAMPLES: Final = 5000


class CannotCompare(PlainError):
    """Nothing to compare on; its text says why."""


def compare(
    first: tuple[Bundle, Engine], second: tuple[Bundle, Engine], data: Path, geometry: str | None
) -> dict[str, Any]:
    """The second bundle beside the first on a labelled folder; differences are second minus first. Raises
    CannotCompare.
    """
    try:
        cells = read_folder(data, min_per_type=0)
    except BadDataFolder as error:
        raise CannotCompare(str(error)) from None
    right, labels, used = [], np.empty(0, np.int64), 0
    for bundle, engine in (first, second):
        pixels = load_pixels(cells, profile(geometry or bundle.manifest.geometry))
        if not pixels.cells:
            reason = pixels.refused[0][1] if pixels.refused else "there is none"
            raise CannotCompare(f"{data} holds no picture that can be used: {reason}")
        parts = [engine.infer(pixels.images[at : at + _BATCH])[0] for at in range(0, len(pixels.cells), _BATCH)]
        labels, used = pixels.labels, len(pixels.cells)
        right.append(np.concatenate(parts).argmax(1) == labels)
    if len(right[0]) != len(right[1]):
        raise CannotCompare("the two bundles were trained with other geometries and cannot use the same pictures")
    both = np.stack(right, axis=1)
    return {
        "first": first[0].bundle_id,
        "second": second[0].bundle_id,
        "images": used,
        "left_out": len(cells) - used,
        "types": {name: _of_type(both[labels == i]) for i, name in enumerate(CELL_TYPES) if (labels == i).any()},
        "class_average": _class_average(both, labels),
        "accuracy": _of_type(both),
    }


def _of_type(right: npt.NDArray[np.bool_]) -> dict[str, Any]:
    pair = paired(right[:, 0], right[:, 1])
    low, high = pair.limits()
    return {
        "cells": pair.n,
        "first": round(float(right[:, 0].mean()), 6),
        "second": round(float(right[:, 1].mean()), 6),
        "difference": round(-pair.loss, 6),
        "ci95": [round(-high, 6), round(-low, 6)],
        "only_first": pair.lost,
        "only_second": pair.won,
    }


def _class_average(right: npt.NDArray[np.bool_], labels: npt.NDArray[np.int64]) -> dict[str, Any]:
    own = [right[labels == i] for i in range(len(CELL_TYPES)) if (labels == i).any()]
    value = np.mean([of_type.mean(axis=0) for of_type in own], axis=0)
    rng = np.random.default_rng(0)
    draws = np.mean(
        [
            rng.multinomial(len(t), [np.mean(t[:, 0] & ~t[:, 1]), np.mean(t[:, 1] & ~t[:, 0]),
                                     np.mean(t[:, 0] == t[:, 1])], _RESAMPLES)[:, :2] @ [-1, 1] / len(t)
            for t in own
        ],
        axis=0,
    )  # fmt: skip
    low, high = np.percentile(draws, [2.5, 97.5])
    return {
        "first": round(float(value[0]), 6),
        "second": round(float(value[1]), 6),
        "difference": round(float(value[1] - value[0]), 6),
        "ci95": [round(float(low), 6), round(float(high), 6)],
    }
