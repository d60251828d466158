"""A night's learning: the laboratory's cells beside replayed ones, which also keep the champion's own answers."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from smear.decision import softmax
from smear.labelled import Pixels
from trainer.augment import look
from trainer.calibrate import fit_temperature, negative_log_likelihood
from trainer.fit import Training, Weights, logits_of
from trainer.learning import BrokeOff, Epoch, learning_rate
from trainer.recipes import Augmentation, Recipe
from trainer.training_set import TrainingSet


#: Gentle and short; class balanced by the whole of the logit adjustment. LOG.md has what was tried.
NIGHTLY: Final = Recipe(
    name="nightly", epochs=8, batch=32, learning_rate=1e-4, warmup_epochs=0.5, average_epochs=0.5,
    logit_adjustment=1.0, label_smoothing=0.02, inner_share=0.15, views=1,
    augmentation=Augmentation(gain=0.1, stain=0.1, hue=0.1, saturation=0.15),
)  # fmt: skip
#: How much the champion's own answers on replayed cells count beside their labels.
DISTILLED: Final = 1.0
#: Both soften: what the champion holds for second best is told too.
_TEMPERATURE: Final = 2.0
#: Epochs without a better inner split after which nothing more is expected.
PATIENCE: Final = 3


@dataclass(frozen=True)
class NightSet:
    """What is trained on, the inner split, and (N, 5) the champion's logits of the training part.

    `replayed` (N,) marks the cells of the base set: these alone are distilled.
    """

    data: TrainingSet
    champion: npt.NDArray[np.float32]
    replayed: npt.NDArray[np.bool_]


class Night(Training):
    """Training from the champion, with distillation and an early stop; the best weights are kept, not the last."""

    def __init__(self, recipe: Recipe, night: NightSet, seed: int, init: Weights, device: str = "cpu") -> None:
        super().__init__(recipe, night.data, seed, init, device)
        self._teacher = torch.from_numpy(night.champion).to(device)
        self._replayed = torch.from_numpy(night.replayed).to(device)
        self.best: Weights = {name: value.clone() for name, value in self.average.items()}
        self.best_inner = _inner_loss(self.average, night.data.inner)
        self.best_epoch = 0

    def run_epoch(self, on_step: Callable[[], object] = lambda: None) -> Epoch:
        """One pass; keeps the weights where the inner split is read better than ever before."""
        epoch = super().run_epoch(on_step)
        loss = _inner_loss(self.average, self.data.inner)
        if loss < self.best_inner:
            self.best_inner, self.best_epoch = loss, self.epochs_done
            self.best = {name: value.clone() for name, value in self.average.items()}
        return epoch

    @property
    def stale(self) -> bool:
        """Whether going on is not worth it."""
        return self.epochs_done - self.best_epoch >= PATIENCE

    def state(self) -> dict[str, Any]:
        """Everything a later process needs to go on."""
        return super().state() | {
            "best": self.best, "best_inner": self.best_inner, "best_epoch": self.best_epoch
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        super().restore(state)
        self.best, self.best_inner, self.best_epoch = state["best"], state["best_inner"], state["best_epoch"]

    def _step(self, rows: npt.NDArray[np.int64], rng: np.random.Generator) -> float:
        assert self.recipe.augmentation is not None
        seen = look(self.data.train.images[rows], self.recipe.augmentation, rng)
        images = torch.from_numpy(seen).to(self.device)
        labels = torch.from_numpy(self.data.train.labels[rows]).to(self.device)
        logits, _ = self.network(images)
        loss = functional.cross_entropy(logits + self._adjustment, labels, label_smoothing=self.recipe.label_smoothing)
        loss = loss + DISTILLED * self._distilled(logits, torch.from_numpy(rows))
        value = loss.item()
        if not math.isfinite(value):
            raise BrokeOff(f"the loss became {value} in epoch {self.epochs_done + 1}")
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step(learning_rate(self.recipe, self.steps_done, self.steps_per_epoch))
        return value

    def _distilled(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Kullback-Leibler divergence from the champion's answers (Hinton et al., 2015), over the replayed cells."""
        teacher, chosen = self._teacher[rows], self._replayed[rows]
        each = functional.kl_div(
            functional.log_softmax(logits / _TEMPERATURE, 1), functional.softmax(teacher / _TEMPERATURE, 1),
            reduction="none",
        ).sum(1)  # fmt: skip
        return (each * chosen).sum() / len(rows) * _TEMPERATURE**2


class Budget:
    """Says when the night's time is up: `minutes` of work, epochs counted whole.

    `before` are the seconds that earlier attempts took.
    """

    def __init__(self, minutes: float, clock: Callable[[], float] = time.monotonic, before: float = 0.0) -> None:
        self._seconds, self._clock = 60 * minutes, clock
        self._began = clock() - before
        self._longest = 0.0
        self._last = clock()

    @property
    def seconds(self) -> float:
        """How long it has been at work, earlier attempts included."""
        return self._clock() - self._began

    def spent(self) -> bool:
        """Called after each epoch: whether another one would not fit."""
        now = self._clock()
        self._longest, self._last = max(self._longest, now - self._last), now
        return now - self._began + self._longest > self._seconds


def _inner_loss(weights: Weights, inner: Pixels) -> float:
    """The mean over types of the negative log-likelihood: a rare type counts as much as a common one.

    At the temperature that fits best, as the bundle will have it: how sure a network is by itself does not matter.
    """
    raw = logits_of(weights, inner)
    logits = raw / np.float32(fit_temperature(raw, inner.labels))
    of_type = [inner.labels == t for t in np.unique(inner.labels)]
    return float(np.mean([negative_log_likelihood(logits[own], inner.labels[own], 1.0) for own in of_type]))


def probabilities(weights: Weights, pixels: Pixels) -> npt.NDArray[np.float32]:
    """(N, 5) of a network with these weights, uncalibrated."""
    return softmax(logits_of(weights, pixels))
