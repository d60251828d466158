"""The paper's ResNet50 as a model among others, and the same network with group normalisation."""

import torch

from smear.cells import CELL_TYPES
from trainer.describe import Layer
from trainer.fit import Weights
from trainer.learning import Learner, Settings
from trainer.models.face import Model
from trainer.resnet import PARAMETERS, SIDE_PX, Norm, ResNet50
from trainer.resnet_fit import HEALTHY, PAPER, RECIPES, RECOMPUTED, RESNET_RECIPE, ResNetRecipe, ResNetTraining
from trainer.training_set import TrainingSet
from trainer.wnet import parameter_count


class ResNetModel(Model):
    """A ResNet50 with batch normalisation, as the paper's, or with group normalisation."""

    parameters = PARAMETERS
    side_px = SIDE_PX
    known, kind = RECIPES, RESNET_RECIPE
    #: A whole test part takes a third as long as an epoch of training.
    observed_cells = 256

    def __init__(self, norm: Norm) -> None:
        self.norm = norm
        batch = norm == "batch"
        self.name = "resnet50" if batch else "resnet50-gn"
        self.title = "ResNet50" if batch else "ResNet50 with group normalisation"
        self.default = PAPER.name if batch else HEALTHY.name
        self.variants = (RECOMPUTED,) if batch else ()

    def learner(self, recipe: Settings, data: TrainingSet, seed: int, init: Weights | None, device: str) -> Learner:
        """A run of `trainer.resnet_fit`."""
        assert isinstance(recipe, ResNetRecipe)
        assert init is None
        return ResNetTraining(recipe, data, seed, self.norm, device)

    def shortened(self, recipe: Settings) -> str | None:
        """Of the coarser arithmetic too, which no recipe of the catalogue has."""
        assert isinstance(recipe, ResNetRecipe)
        said = [super().shortened(recipe), "in bfloat16" if recipe.bfloat16 else None]
        return ", ".join(filter(None, said)) or None

    def layers(self) -> list[Layer]:
        """A line a block, counted in the network itself and shaped by a picture that goes through it."""
        network = ResNet50(self.norm).eval()
        shapes: list[tuple[int, ...]] = []
        watched = [network.stem, *network.blocks, network.head]
        handles = [module.register_forward_hook(lambda _m, _i, out: shapes.append(_shape(out))) for module in watched]
        with torch.inference_mode():
            network(torch.zeros((1, SIDE_PX, SIDE_PX, 3), dtype=torch.uint8))
        for handle in handles:
            handle.remove()
        stem = parameter_count(network.stem) + parameter_count(network.stem_norm)
        lines = [Layer("standardise each picture", (SIDE_PX, SIDE_PX, 3), 0)]
        lines.append(Layer(f"convolution 7x7, stride 2, {self.norm} norm, ReLU", shapes[0], stem))
        side = shapes[0][0] // 2
        lines.append(Layer("max-pool 3x3, stride 2", (side, side, shapes[0][2]), 0))
        for number, (block, shape) in enumerate(zip(network.blocks, shapes[1:-1], strict=True), start=1):
            lines.append(Layer(f"block {number}: 1x1, 3x3, 1x1, sum, ReLU", shape, parameter_count(block)))
        lines.append(Layer("mean over the picture", shapes[-2][2:], 0))
        lines.append(Layer("dense", (len(CELL_TYPES),), parameter_count(network.head)))
        return lines


def _shape(out: torch.Tensor) -> tuple[int, ...]:
    """(height, width, channels) or (width,), without the batch."""
    one = tuple(out.shape[1:])
    return (*one[1:], one[0]) if len(one) == 3 else one
