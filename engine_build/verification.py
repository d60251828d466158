"""Judging a compiled form: agreement with the reference on real pictures, and speed beside the engine without it."""

import time
from collections.abc import Sequence
from typing import Final

import numpy as np

from engine_build.agreement import compare
from smear.bundle import Bundle
from smear.labelled import Pixels
from worker.engines.face import Engine, Floats, Images
from worker.engines.forms import StoredForm, Verification
from worker.engines.select import open_form
from worker.engines.tensorrt import open_stored_plan


#: Pictures a batch, and how often each engine has its turn; the best counts.
BATCH: Final = 64
TURNS: Final = 8


def judge(
    engine: Engine, default: Engine, reference: Floats, pixels: Pixels, bundle: Bundle, data: str
) -> Verification:
    """The verdict on an engine over labelled pictures, `default` being what runs where there is no compiled form."""
    found = compare(engine, reference, pixels.images, pixels.labels, bundle.manifest.calibration.temperature)
    ours, theirs = alternating([engine, default], pixels.images)
    return Verification(
        images=found.images,
        data=data,
        largest_difference=found.largest_difference,
        type_agreement=found.type_agreement,
        class_average=found.class_average,
        reference_class_average=found.reference_class_average,
        images_per_second=ours,
        times_default=ours / theirs,
        reasons=tuple(found.failures(bundle.manifest.limits)),
    )


def alternating(engines: Sequence[Engine], images: Images, batch: int = BATCH, turns: int = TURNS) -> list[float]:
    """Pictures a second of each engine, its best of so many turns."""
    return [max(found) for found in by_turn(engines, images, batch, turns)]


def by_turn(engines: Sequence[Engine], images: Images, batch: int = BATCH, turns: int = TURNS) -> list[list[float]]:
    """Pictures a second of each engine in each turn; they take turns, so that all see the same host."""
    some = np.ascontiguousarray(np.resize(images, (batch, *images.shape[1:])))
    found: list[list[float]] = [[] for _ in engines]
    for turn in range(turns + 1):
        for engine, speeds in zip(engines, found, strict=True):
            began = time.perf_counter()
            engine.infer(some)
            if turn:  # the first pays for what the engine sets up
                speeds.append(batch / (time.perf_counter() - began))
    return found


def open_stored(stored: StoredForm, threads: int = 1) -> Engine:
    """The engine of any compiled form; raises EngineUnavailable or BadForm where this host cannot run it."""
    if stored.form.backend != "tensorrt":
        return open_form(stored, threads)
    return open_stored_plan(stored)
