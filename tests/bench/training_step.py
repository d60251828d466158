"""One contender of `make bench-train`: trains in this process, on one thread, and prints as JSON what it measured.

    python training_step.py steps plain|paper|best BATCH STEPS PICTURES.npz
    python training_step.py fold RUN

PICTURES.npz holds `images` (N, 128, 128, 3) uint8 and `labels` (N,) int64; RUN is a cross-validation's folder.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from baselines import PlainWNet, plain_train
from threadpoolctl import threadpool_limits

from smear.labelled import Pixels
from trainer.cv import fold
from trainer.fit import Training
from trainer.memory import keep_freed
from trainer.recipes import recipe
from trainer.training_set import TrainingSet


#: Before anything counts: the first steps grow the heap, make the optimiser's moments and choose the kernels.
WARM_STEPS, WARM_SECONDS = 3, 0.5


class Enough(Exception):
    """As many steps as were wanted have been measured."""


class Watch:
    """Told of every step, it measures so many of them after the warm-up, and then raises Enough."""

    def __init__(self, steps: int) -> None:
        self.steps, self.seen, self.born = steps, 0, time.perf_counter()
        self.started: float | None = None
        self.seconds = 0.0

    def step(self) -> None:
        now = time.perf_counter()
        self.seen += 1
        if self.started is None:
            if self.seen >= WARM_STEPS and now - self.born >= WARM_SECONDS:
                self.started, self.seen = now, 0
        elif self.seen == self.steps:
            self.seconds = now - self.started
            raise Enough


class TimedTraining(Training):
    """Training that notes how long each step took up to the network: choosing, augmenting, making tensors."""

    def __init__(self, name: str, batch: int, pixels: Pixels) -> None:
        none = Pixels(pixels.images[:0], pixels.labels[:0], [], [])
        super().__init__(replace(recipe(name), batch=batch), TrainingSet(pixels, none), seed=0)
        self.data_seconds: list[float] = []
        self.began = 0.0
        self.network.register_forward_pre_hook(self._reached_the_network)

    def _step(self, rows, rng):
        self.began = time.perf_counter()
        return super()._step(rows, rng)

    def _reached_the_network(self, *_: object) -> None:
        self.data_seconds.append(time.perf_counter() - self.began)


def until_enough(train: Callable[[], object]) -> None:
    try:
        train()
    except Enough:
        return
    raise AssertionError("an epoch of these pictures has too few steps")


def measure_steps(name: str, batch: int, steps: int, pixels: Pixels) -> dict[str, float]:
    """Milliseconds a step, and the share of it that the data took where the contender is ours."""
    if name == "plain":
        torch.manual_seed(0)
        watch = Watch(steps)
        until_enough(lambda: [watch.step() for _ in plain_train(PlainWNet(), pixels.images, pixels.labels, batch)])
        return {"ms": 1000 * watch.seconds / steps}
    keep_freed()
    training = TimedTraining(name, batch, pixels)
    watch = Watch(steps)
    until_enough(lambda: training.run_epoch(watch.step))
    return {"ms": 1000 * watch.seconds / steps, "data_share": sum(training.data_seconds[-steps:]) / watch.seconds}


def measure_fold(run: str) -> dict[str, float]:
    """Peak of resident memory, in 10^9 bytes, of fold 0 from its start to its result."""
    sys.argv[1:] = [run, "0"]
    fold.main()
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return {"peak_rss_gb": int(peak) * 1024 / 1e9}


def main() -> None:
    torch.set_num_threads(1)
    what, *arguments = sys.argv[1:]
    with threadpool_limits(1):
        if what == "fold":
            measured = measure_fold(*arguments)
        else:
            name, batch, steps, path = arguments
            with np.load(path) as saved:
                pixels = Pixels(saved["images"], saved["labels"], [], [])
            measured = measure_steps(name, int(batch), int(steps), pixels)
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
