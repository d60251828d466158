"""Training W-Net: epochs as tested steps, random numbers keyed by seed and epoch, so that resuming changes nothing."""

import math
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from smear.decision import softmax
from smear.labelled import Pixels
from trainer.adam import Adam
from trainer.augment import VIEWS, look
from trainer.learning import Answers, BrokeOff, Epoch, learning_rate, no_variants, numbers
from trainer.recipes import Recipe
from trainer.scores import Floats, Scores, score
from trainer.training_set import TrainingSet
from trainer.wnet import WNet, holding


Weights = dict[str, Tensor]
Images = np.ndarray[Any, np.dtype[np.uint8]]

#: The moving average is taken every so many steps: each time moves 200 MB through memory.
_AVERAGE_EVERY: Final = 8
_EVALUATION_BATCH: Final = 128


class Training:
    """A run in progress: network, optimiser, moving average of the weights, and how many epochs are done."""

    def __init__(
        self, recipe: Recipe, data: TrainingSet, seed: int, init: Weights | None = None, device: str = "cpu"
    ) -> None:
        self.recipe, self.data, self.seed, self.device = recipe, data, seed, device
        torch.manual_seed(seed)
        self.network = WNet(recipe.conv_drop, recipe.dense_drop, whole_channels=recipe.whole_channels)
        if init is not None:
            self.network.load_state_dict(init)
        self.network.to(device)
        self.optimiser = Adam(self.network, recipe.conv_rate)
        self.average = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.averages_taken = 0
        self.epochs_done = 0
        self.steps_done = 0
        self.steps_per_epoch = math.ceil(len(data.train.labels) / recipe.batch)
        shares = np.bincount(data.train.labels, minlength=5) / len(data.train.labels)
        self._adjustment = recipe.logit_adjustment * torch.from_numpy(np.log(shares)).float().to(device)

    def run_epoch(self, on_step: Callable[[], object] = lambda: None) -> Epoch:
        """One pass over the training part; raises BrokeOff where loss or answers are no longer numbers."""
        rng = np.random.default_rng([self.seed, self.epochs_done])
        torch.manual_seed(int(rng.integers(2**62)))
        order = rng.permutation(len(self.data.train.labels))
        losses = []
        self.network.train()
        for step in range(self.steps_per_epoch):
            rows = order[step * self.recipe.batch : (step + 1) * self.recipe.batch]
            losses.append(self._step(rows, rng) * len(rows))
            self.steps_done += 1
            last = step + 1 == self.steps_per_epoch
            if last or (self.recipe.average_epochs and (step + 1) % _AVERAGE_EVERY == 0):
                self._take_average(step % _AVERAGE_EVERY + 1)
            on_step()
        if not all(bool(value.isfinite().all()) for value in self.average.values()):
            raise BrokeOff(f"weights became infinite in epoch {self.epochs_done + 1}")
        self.epochs_done += 1
        rate = learning_rate(self.recipe, self.steps_done - 1, self.steps_per_epoch)
        return Epoch(self.epochs_done, sum(losses) / len(order), rate, self.inner_scores())

    @property
    def epochs(self) -> int:
        """How many there will be."""
        return self.recipe.epochs

    def logits(self, images: Images, views: int) -> Floats:
        """(views, N, 5) float32 logits of the kept weights."""
        return logits_of_views(self.average, images, views)

    def variants(self) -> Iterator[tuple[str, Answers]]:
        """None: the kept weights are asked in one way."""
        return no_variants()

    def inner_scores(self) -> Scores | None:
        """The kept weights' scores on the inner split, softmax as it is; None without such a split."""
        if not len(self.data.inner.labels):
            return None
        return score(softmax(logits_of(self.average, self.data.inner)), self.data.inner.labels)

    def state(self) -> dict[str, Any]:
        """Everything a later process needs to go on."""
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state(),
            "average": self.average,
            "averages_taken": self.averages_taken,
            "epochs_done": self.epochs_done,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.network.load_state_dict(state["network"])
        self.optimiser.restore(state["optimiser"])
        self.average = state["average"]
        self.averages_taken, self.epochs_done = state["averages_taken"], state["epochs_done"]
        self.steps_done = self.epochs_done * self.steps_per_epoch

    def _step(self, rows: np.ndarray[Any, np.dtype[np.int64]], rng: np.random.Generator) -> float:
        seen: np.ndarray[Any, Any] = self.data.train.images[rows]
        if self.recipe.augmentation is not None:
            seen = look(seen, self.recipe.augmentation, rng)
        images = torch.from_numpy(seen).to(self.device)
        labels = torch.from_numpy(self.data.train.labels[rows]).to(self.device)
        logits, _ = self.network(images)
        loss = functional.cross_entropy(logits + self._adjustment, labels, label_smoothing=self.recipe.label_smoothing)
        value = loss.item()
        if not math.isfinite(value):
            raise BrokeOff(f"the loss became {value} in epoch {self.epochs_done + 1}")
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step(learning_rate(self.recipe, self.steps_done, self.steps_per_epoch))
        return value

    def _take_average(self, steps: int) -> None:
        keep = 0.0
        if self.recipe.average_epochs:
            keep = math.exp(-steps / (self.recipe.average_epochs * self.steps_per_epoch))
            # Early on the average follows fast, else it would remember the random start.
            keep = min(keep, (1 + self.averages_taken) / (10 + self.averages_taken))
        with torch.no_grad():
            for name, value in self.network.state_dict().items():
                self.average[name].lerp_(value, 1 - keep)
        self.averages_taken += 1


def logits_of(weights: Weights, pixels: Pixels) -> Floats:
    """(N, 5) float32 logits of a network with these weights."""
    first: Floats = logits_of_views(weights, pixels.images, 1)[0]
    return first


def logits_of_views(weights: Weights, images: Images, views: int) -> Floats:
    """(views, N, 5) float32 logits of the first so many of a picture's eight dihedral views, the first as it is."""
    network = holding(weights)
    with torch.inference_mode():
        return np.stack([_logits(network, images, *VIEWS[number]) for number in range(views)])


def _logits(network: WNet, images: Images, flipped: bool, turns: int) -> Floats:
    device = network.dense2.weight.device
    parts = []
    for at in range(0, len(images), _EVALUATION_BATCH):
        part = images[at : at + _EVALUATION_BATCH]
        turned = np.rot90(part[:, :, ::-1] if flipped else part, turns, axes=(1, 2))
        parts.append(network(torch.from_numpy(np.ascontiguousarray(turned)).to(device))[0])
    return numbers(np.asarray(torch.cat(parts).cpu().numpy(), np.float32))
