"""Learning epoch by epoch: what every model's run offers, the schedule of rates, the loop that keeps a checkpoint."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from trainer.checkpoint import Checkpoint
from trainer.scores import Floats, Scores


#: What a model is given of N pictures: (N, side, side, 3) uint8 for networks, (N, F) float32 features for others.
Inputs = npt.NDArray[Any]
#: Asks a model: inputs and how many of the eight dihedral views -> (views, N, 5) float32 logits.
Answers = Callable[[Inputs, int], Floats]


class BrokeOff(Exception):
    """A run that stopped before its end and can be resumed from its last checkpoint."""


def numbers(logits: Floats) -> Floats:
    """The same logits; raises BrokeOff where some are no numbers any more, of weights that have grown without end."""
    if not np.isfinite(logits).all():
        raise BrokeOff("the model's answers are no longer numbers: was the learning rate too high?")
    return logits


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to: `number` counts from 1; `inner` scores the kept weights on the inner split, if any."""

    number: int
    loss: float
    learning_rate: float
    inner: Scores | None


class Settings(Protocol):
    """What a cross-validation must know of any recipe, a frozen dataclass; the rest is its model's own business."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def epochs(self) -> int: ...  # noqa: D102
    @property
    def inner_share(self) -> float: ...  # noqa: D102
    @property
    def views(self) -> int: ...  # noqa: D102
    @property
    def pictures_per_type(self) -> int | None: ...  # noqa: D102


class Schedule(Protocol):
    """How the rate of learning moves over a run."""

    @property
    def epochs(self) -> int: ...  # noqa: D102
    @property
    def learning_rate(self) -> float: ...  # noqa: D102
    @property
    def warmup_epochs(self) -> float: ...  # noqa: D102
    @property
    def cosine(self) -> bool: ...  # noqa: D102


class Learner(Protocol):
    """A run in progress: so many of `epochs` are done, and `logits` asks what would be kept now.

    `variants` yields further ways to ask the same weights, by name; for most models there are none.
    """

    epochs_done: int
    steps_done: int
    steps_per_epoch: int

    @property
    def epochs(self) -> int: ...  # noqa: D102
    def run_epoch(self, on_step: Callable[[], object] = ...) -> Epoch: ...  # noqa: D102
    def state(self) -> dict[str, Any]: ...  # noqa: D102
    def restore(self, state: dict[str, Any]) -> None: ...  # noqa: D102
    def logits(self, inputs: Inputs, views: int) -> Floats: ...  # noqa: D102
    def variants(self) -> Iterator[tuple[str, Answers]]: ...  # noqa: D102


def no_variants() -> Iterator[tuple[str, Answers]]:
    """What `Learner.variants` is for most models."""
    yield from ()


def learning_rate(recipe: Schedule, step: int, steps_per_epoch: int) -> float:
    """Linear warm-up, then half a cosine down to next to nothing, or the peak to the end."""
    total, warmup = recipe.epochs * steps_per_epoch, recipe.warmup_epochs * steps_per_epoch
    if step < warmup:
        return recipe.learning_rate * (step + 1) / max(warmup, 1)
    if not recipe.cosine:
        return recipe.learning_rate
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(total - warmup, 1)))


def run(
    learner: Learner,
    checkpoint: Checkpoint,
    on_epoch: Callable[[Epoch], object] = lambda _: None,
    on_step: Callable[[], object] = lambda: None,
    keep: Callable[[Epoch], Mapping[str, Any]] = lambda _: {},
) -> None:
    """Train to the recipe's end, a checkpoint an epoch; raises BrokeOff, also for a disk that takes no more.

    What `keep` returns is saved with the learner's own state; `on_epoch` is called when that is on disk.
    """
    while learner.epochs_done < learner.epochs:
        epoch = learner.run_epoch(on_step)
        state = learner.state() | dict(keep(epoch))
        try:
            checkpoint.save(state)
        except OSError as error:
            raise BrokeOff(f"the checkpoint could not be written: {error}") from error
        on_epoch(epoch)
