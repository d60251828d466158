"""ResNet50 (He et al., 2015) as in the paper's comparison: biased convolutions, five answers, 23,544,837 parameters."""

from collections.abc import Callable
from typing import Final, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from smear.cells import CELL_TYPES
from trainer.wnet import standardise


#: Trainable parameters of the paper's comparison. Only a network whose convolutions have biases comes to this number.
PARAMETERS: Final = 23_544_837
#: The paper's input: 224 x 224.
SIDE_PX: Final = 224
#: (width, blocks, stride of the first block) of the four stages; a block gives four times its width.
_STAGES: Final = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
_STEM: Final = 64
_EXPANSION: Final = 4
#: Groups of group normalisation (Wu and He, 2018).
_GROUPS: Final = 32
#: What is added to a variance: the value of the framework whose layers give the paper's number of parameters.
_EPSILON: Final = 1.001e-5

Norm = Literal["batch", "group"]


class ResNet50(nn.Module):
    """The network, with W-Net's standardisation of each picture inside.

    `norm` is batch normalisation, or group normalisation with as many parameters. `statistics_momentum` is the weight
    of the newest batch in the running mean and variance that batch normalisation uses when it is asked.
    """

    def __init__(self, norm: Norm = "batch", statistics_momentum: float = 0.1) -> None:
        super().__init__()
        self.norm, self.statistics_momentum = norm, statistics_momentum
        self.stem = nn.Conv2d(3, _STEM, 7, stride=2, padding=3)
        self.stem_norm = self._norm(_STEM)
        blocks, inputs = [], _STEM
        for width, count, stride in _STAGES:
            for number in range(count):
                blocks.append(_Block(inputs, width, stride if number == 0 else 1, self._norm))
                inputs = width * _EXPANSION
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Linear(inputs, len(CELL_TYPES))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        nn.init.xavier_uniform_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> Tensor:
        """(N, side, side, 3) uint8 -> logits (N, 5). Made for a side of 224; every multiple of 32 will do."""
        x = functional.relu(self.stem_norm(self.stem(standardise(images))), inplace=True)
        x = functional.max_pool2d(x, 3, stride=2, padding=1)
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(x.mean(dim=(2, 3)))
        return logits

    def _norm(self, channels: int) -> nn.Module:
        if self.norm == "group":
            return nn.GroupNorm(_GROUPS, channels, eps=_EPSILON)
        return nn.BatchNorm2d(channels, eps=_EPSILON, momentum=self.statistics_momentum)


class _Block(nn.Module):
    """1x1, 3x3, 1x1, added to what came in; the stride is in the first 1x1, as in the original."""

    def __init__(self, inputs: int, width: int, stride: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        outputs = width * _EXPANSION
        self.narrow, self.narrow_norm = nn.Conv2d(inputs, width, 1, stride=stride), norm(width)
        self.spatial, self.spatial_norm = nn.Conv2d(width, width, 3, padding=1), norm(width)
        self.widen, self.widen_norm = nn.Conv2d(width, outputs, 1), norm(outputs)
        changes = stride != 1 or inputs != outputs
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride=stride) if changes else None
        self.shortcut_norm = norm(outputs) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, 4 width, H / stride, W / stride)."""
        kept = x
        if self.shortcut is not None and self.shortcut_norm is not None:
            kept = self.shortcut_norm(self.shortcut(x))
        x = functional.relu(self.narrow_norm(self.narrow(x)), inplace=True)
        x = functional.relu(self.spatial_norm(self.spatial(x)), inplace=True)
        return functional.relu(self.widen_norm(self.widen(x)) + kept, inplace=True)
