"""Training ResNet50: stochastic gradient descent with momentum, and its batch statistics recomputed afterwards."""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import numpy as np
import torch
from pydantic import ConfigDict, Field, TypeAdapter
from torch import nn
from torch.nn import functional

from smear.decision import softmax
from trainer.augment import VIEWS, view
from trainer.fit import Images
from trainer.learning import Answers, BrokeOff, Epoch, learning_rate, numbers
from trainer.recipes import Amount, Rate, Share, Some
from trainer.resnet import Norm, ResNet50
from trainer.scores import Floats, Labels, Scores, score
from trainer.training_set import TrainingSet


#: The variant whose batch normalisation has its statistics taken anew over the training part.
RECOMPUTED: Final = "statistics-recomputed"
#: Pictures at once where nothing is learnt; what it comes to does not depend on it.
_EVALUATION_BATCH: Final = 32


@dataclass(frozen=True)
class ResNetRecipe:
    """Hyperparameters of a ResNet50; the defaults are those of the paper's comparison.

    `weight_decay` is added to the gradient of every parameter, as the original does. `statistics_momentum` is the
    weight of the newest batch in batch normalisation's running statistics; the paper does not give it, 0.01 is the
    default of the framework whose layers come to the paper's number of parameters. `dihedral`: each look at a picture
    is one of its eight views. `bfloat16`: products of layers are computed in bfloat16, weights and loss stay float32
    (Micikevicius et al., 2018); half the time on a processor that can. `inner_share`, `views` and `pictures_per_type`
    as in W-Net's recipes.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")] = "paper"
    epochs: Some = 50
    batch: Annotated[int, Field(ge=2)] = 32
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    momentum: Rate = 0.9
    weight_decay: Amount = 1e-4
    warmup_epochs: Amount = 0.0
    cosine: bool = False
    dihedral: bool = False
    statistics_momentum: Share = 0.01
    bfloat16: bool = False
    inner_share: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    views: Literal[1, 8] = 1
    pictures_per_type: Some | None = None


PAPER: Final = ResNetRecipe()
#: How such a network is usually trained: a rate of 0.1 for 256 pictures, warm-up, half a cosine, dihedral views.
HEALTHY: Final = ResNetRecipe(
    name="healthy", learning_rate=0.0125, warmup_epochs=1, cosine=True, dihedral=True, statistics_momentum=0.1
)
#: `healthy` through the whole of it: its figures mean nothing.
SMOKE: Final = ResNetRecipe(name="smoke", epochs=1, batch=8, pictures_per_type=4, statistics_momentum=0.1)
RECIPES: Final = {recipe.name: recipe for recipe in (PAPER, HEALTHY, SMOKE)}
RESNET_RECIPE: Final = TypeAdapter(ResNetRecipe)


class ResNetTraining:
    """A run in progress: a `trainer.learning.Learner`."""

    def __init__(self, recipe: ResNetRecipe, data: TrainingSet, seed: int, norm: Norm, device: str = "cpu") -> None:
        self.recipe, self.data, self.seed, self.device = recipe, data, seed, device
        torch.manual_seed(seed)
        self.network = ResNet50(norm, recipe.statistics_momentum).to(device)
        self.optimiser = torch.optim.SGD(
            self.network.parameters(), lr=recipe.learning_rate, momentum=recipe.momentum,
            weight_decay=recipe.weight_decay, fused=True,
        )  # fmt: skip
        self.epochs_done = self.steps_done = 0
        # A last batch of one picture has no variance: it waits for the next epoch's order.
        n = len(data.train.labels)
        self.steps_per_epoch = math.ceil(n / recipe.batch) - (n % recipe.batch == 1)

    @property
    def epochs(self) -> int:
        """How many there will be."""
        return self.recipe.epochs

    def run_epoch(self, on_step: Callable[[], object] = lambda: None) -> Epoch:
        """One pass over the training part; raises BrokeOff where loss or answers are no longer numbers."""
        rng = np.random.default_rng([self.seed, self.epochs_done])
        torch.manual_seed(int(rng.integers(2**62)))
        order = rng.permutation(len(self.data.train.labels))
        losses, seen = 0.0, 0
        self.network.train()
        for step in range(self.steps_per_epoch):
            rows = order[step * self.recipe.batch : (step + 1) * self.recipe.batch]
            losses += self._step(rows, rng) * len(rows)
            seen += len(rows)
            self.steps_done += 1
            on_step()
        self.epochs_done += 1
        rate = learning_rate(self.recipe, self.steps_done - 1, self.steps_per_epoch)
        return Epoch(self.epochs_done, losses / seen, rate, self._inner_scores())

    def state(self) -> dict[str, Any]:
        """Everything a later process needs to go on."""
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "epochs_done": self.epochs_done,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.epochs_done = state["epochs_done"]
        self.steps_done = self.epochs_done * self.steps_per_epoch

    def logits(self, images: Images, views: int) -> Floats:
        """(views, N, 5) float32 logits."""
        return _logits(self.network, images, views, self.device, self.recipe.bfloat16)

    def variants(self) -> Iterator[tuple[str, Answers]]:
        """The same weights with the statistics of batch normalisation recomputed; none without batch normalisation."""
        if self.network.norm == "batch":
            recipe = self.recipe
            network = with_statistics_of(
                self.network, self.data.train.images, recipe.batch, self.device, recipe.bfloat16
            )
            yield RECOMPUTED, lambda images, views: _logits(network, images, views, self.device, recipe.bfloat16)

    def _step(self, rows: Labels, rng: np.random.Generator) -> float:
        images = self.data.train.images[rows]
        if self.recipe.dihedral:
            numbers = rng.integers(len(VIEWS), size=len(images))
            images = np.stack([view(image, int(number)) for image, number in zip(images, numbers, strict=True)])
        labels = torch.from_numpy(self.data.train.labels[rows]).to(self.device)
        loss = functional.cross_entropy(_answer(self.network, images, self.device, self.recipe.bfloat16), labels)
        value = loss.item()
        if not math.isfinite(value):
            raise BrokeOff(f"the loss became {value} in epoch {self.epochs_done + 1}")
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.param_groups[0]["lr"] = learning_rate(self.recipe, self.steps_done, self.steps_per_epoch)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return value

    def _inner_scores(self) -> Scores | None:
        inner = self.data.inner
        if not len(inner.labels):
            return None
        return score(softmax(self.logits(inner.images, 1)[0]), inner.labels)


def with_statistics_of(
    network: ResNet50, images: Images, batch: int, device: str = "cpu", bfloat16: bool = False
) -> ResNet50:
    """A copy whose batch normalisation has mean and variance over all of (N, side, side, 3) uint8, in equal parts.

    The training part is seen as it is, in batches as in training, since that is what the weights were trained under.
    """
    made = copy.deepcopy(network).train()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the mean of all batches rather than a moving average
    rows = np.random.default_rng(0).permutation(len(images))
    with torch.no_grad():
        for at in range(0, len(rows) - len(rows) % batch or len(rows), batch):
            _answer(made, images[rows[at : at + batch]], device, bfloat16)
    return made


def _answer(network: ResNet50, images: Images, device: str, bfloat16: bool) -> torch.Tensor:
    """(N, 5) float32 logits."""
    with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=bfloat16):
        logits: torch.Tensor = network(torch.from_numpy(images).to(device))
    return logits.float()


def _logits(network: ResNet50, images: Images, views: int, device: str, bfloat16: bool) -> Floats:
    network.eval()
    out = []
    with torch.inference_mode():
        for number in range(views):
            parts = []
            for at in range(0, len(images), _EVALUATION_BATCH):
                part = np.stack([view(image, number) for image in images[at : at + _EVALUATION_BATCH]])
                parts.append(_answer(network, part, device, bfloat16).cpu().numpy())
            out.append(np.concatenate(parts))
    return numbers(np.asarray(out, np.float32))
