"""Two or more cross-validations on the same cells: by how much the others differ from the first, and whether really."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from smear.cells import CELL_TYPES
from smear.plain import PlainError
from trainer.compare.mcnemar import McNemar, holm, mcnemar
from trainer.compare.pairing import Paired, pair
from trainer.compare.verdict import Shift, verdict
from trainer.resample import RESAMPLES, SEED, Resampled, interval, resample
from trainer.run_folder import Run, open_run


class TooFewRuns(PlainError):
    """A comparison needs two runs."""


#: What a person chose of a run beside its recipe's settings.
_CHOSEN: Final = (
    "model", "variant", "recipe", "shortened", "seed", "folds", "tune", "share", "geometry", "init", "views", "data",
)  # fmt: skip


@dataclass(frozen=True)
class TypeShift:
    """Recall of one type; `holm_p` is McNemar's p, corrected over the types that occur."""

    cell_type: str
    cells: int
    recall: Shift
    test: McNemar
    holm_p: float


@dataclass(frozen=True)
class PairResult:
    """The second run beside the first, on `cells` pictures in `clusters` independent groups.

    `left_out_first`, `left_out_second` and `relabelled` count the contents that could not be paired; `differing` names
    what was not the same about the two runs. `verdict` is one sentence.
    """

    first: str
    second: str
    cells: int
    clusters: int
    left_out_first: int
    left_out_second: int
    relabelled: int
    same_data: bool
    differing: dict[str, tuple[Any, Any]]
    class_average: Shift
    accuracy: Shift
    test: McNemar
    types: tuple[TypeShift, ...]
    verdict: str

    def as_json(self) -> dict[str, Any]:
        """Figures in per cent and points, p values with six digits."""
        return {
            "first": self.first, "second": self.second, "cells": self.cells, "clusters": self.clusters,
            "left_out": {
                "first": self.left_out_first, "second": self.left_out_second, "relabelled": self.relabelled,
            },
            "same_data": self.same_data,
            "differing": {name: list(values) for name, values in self.differing.items()},
            "class_average": self.class_average.as_json(),
            "accuracy": self.accuracy.as_json(),
            "mcnemar": _test_json(self.test),
            "types": {
                t.cell_type: {"cells": t.cells, "recall": t.recall.as_json()}
                | {"mcnemar": _test_json(t.test) | {"holm_p": _significant(t.holm_p)}}
                for t in self.types
            },
            "verdict": self.verdict,
        }  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """Each further run beside the first."""

    resamples: int
    seed: int
    pairs: tuple[PairResult, ...]

    def as_json(self) -> dict[str, Any]:
        """The object that `trainer compare --json` prints."""
        return {"resamples": self.resamples, "seed": self.seed, "pairs": [p.as_json() for p in self.pairs]}


def compare(
    runs: Sequence[Path], *, names: Sequence[str] | None = None, resamples: int = RESAMPLES, seed: int = SEED
) -> Comparison:
    """The first run's folder against each other; raises TooFewRuns, UnfinishedRun or NothingInCommon.

    `names` are what the runs are called; by default as much of their paths as tells them apart.
    """
    if len(runs) < 2:
        raise TooFewRuns("a comparison needs at least two runs")
    names = names or _names(runs)
    first, *others = [open_run(run) for run in runs]
    return Comparison(
        resamples, seed,
        tuple(
            _beside(names[0], first, name, other, resamples=resamples, seed=seed)
            for name, other in zip(names[1:], others, strict=True)
        ),
    )  # fmt: skip


def _beside(first_name: str, first: Run, second_name: str, second: Run, *, resamples: int, seed: int) -> PairResult:
    paired = pair(first, second)
    drawn = resample(paired.labels, paired.right, paired.groups, resamples=resamples, seed=seed)
    types = _types(paired, drawn)
    average = _shift(
        np.mean([(t.recall.first, t.recall.second) for t in types], axis=0) / 100, drawn.class_average
    )  # fmt: skip
    accuracy = _shift(paired.right.mean(axis=0), drawn.accuracy)
    test = mcnemar(paired.right[:, 0], paired.right[:, 1])
    return PairResult(
        first=first_name,
        second=second_name,
        cells=len(paired.labels),
        clusters=drawn.clusters,
        left_out_first=paired.only_first,
        left_out_second=paired.only_second,
        relabelled=paired.relabelled,
        same_data=first.info.data_sha256 == second.info.data_sha256,
        differing=_differing(first, second),
        class_average=average,
        accuracy=accuracy,
        test=test,
        types=types,
        verdict=verdict(first_name, second_name, average, accuracy, test),
    )


def _types(paired: Paired, drawn: Resampled) -> tuple[TypeShift, ...]:
    present = [i for i in range(len(CELL_TYPES)) if (paired.labels == i).any()]
    right = [paired.right[paired.labels == i] for i in present]
    tests = [mcnemar(own[:, 0], own[:, 1]) for own in right]
    corrected = holm([test.p for test in tests])
    return tuple(
        TypeShift(CELL_TYPES[i], len(own), _shift(own.mean(axis=0), drawn.recall[:, :, i]), test, p)
        for i, own, test, p in zip(present, right, tests, corrected, strict=True)
    )


def _shift(shares: npt.NDArray[np.float64], draws: npt.NDArray[np.float64]) -> Shift:
    """(2,) shares and (B, 2) draws of them, in per cent and points."""
    first, second = (100 * float(share) for share in shares)
    return Shift(first, second, interval(second - first, 100 * (draws[:, 1] - draws[:, 0])))


def _differing(first: Run, second: Run) -> dict[str, tuple[Any, Any]]:
    """What a person chose, and what it ran on, where the two runs differ."""
    ours, theirs = _chosen(first), _chosen(second)
    return {
        name: (ours.get(name), theirs.get(name))
        for name in ours | theirs
        if ours.get(name) != theirs.get(name)
    }  # fmt: skip


def _chosen(run: Run) -> dict[str, Any]:
    info = run.info
    own = {name: getattr(info, name) for name in _CHOSEN}
    return own | {name: value for name, value in info.settings.items() if name != "name"}


def _names(runs: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that tell the runs apart."""
    parts = [run.absolute().parts for run in runs]
    depths = range(1, max(map(len, parts)) + 1)
    clashing = list(takewhile(lambda n: len({own[-n:] for own in parts}) < len(set(parts)), depths))
    return ["/".join(own[-len(clashing) - 1 :]) for own in parts]


def _test_json(test: McNemar) -> dict[str, Any]:
    return {"only_first": test.only_first, "only_second": test.only_second, "p": _significant(test.p)}


def _significant(p: float) -> float:
    return float(f"{p:.6g}")
