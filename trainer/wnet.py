"""W-Net in PyTorch (Jung et al., 2019, figure 2): three convolutions, two dense layers, 16,806,949 parameters."""

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from smear.cells import CELL_TYPES
from smear.geometry import SIDE_PX
from trainer.dense import Dense


#: Trainable parameters, from the paper's layer sizes; a network with another number is not W-Net.
PARAMETERS: Final = 16_806_949
#: Width of the dense layer whose activations serve as features.
FEATURES: Final = 1024
_CHANNELS: Final = (16, 32, 64)
_FLAT: Final = _CHANNELS[-1] * (SIDE_PX // 2 ** len(_CHANNELS)) ** 2
#: Below any standard deviation that a picture of 8-bit values can have unless all its values are the same
#: (one value of 49,152 off by one: 0.0045); so a constant picture becomes zeros and no other is touched.
SMALLEST_DEVIATION: Final = 1e-3
#: Pictures that go through the convolutions together on a CPU: what eight need stays in the last cache between one
#: operation and the next (a batch of 64: 431 ms a step at once, 414 in sixteens, 392 in eights, 401 in fours).
_TOGETHER: Final = 8
#: Random bits for one value of a dropout mask: the rate is kept to 1/65,536.
_MASK_VALUES: Final = 2**16


def standardise(images: Tensor) -> Tensor:
    """(N, 128, 128, 3) uint8 or float -> (N, 3, 128, 128) float32, in channels-last memory.

    Each picture to zero mean and unit (population) variance over all its pixels and channels, as the original code's
    `sklearn.preprocessing.scale`; a constant picture to zeros.
    """
    values = images.float()
    centred = values - values.mean(dim=(1, 2, 3), keepdim=True)
    deviation = centred.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    return (centred / deviation.clamp_min(SMALLEST_DEVIATION)).permute(0, 3, 1, 2)


class WNet(nn.Module):
    """The network, with its pre-processing inside.

    `conv_drop` and `dense_drop` are probabilities to DROP, after each convolution and before the last layer; the
    paper drops 0.6 everywhere. With `whole_channels` a convolution's dropout silences whole feature maps.
    """

    def __init__(self, conv_drop: float = 0.6, dense_drop: float = 0.6, *, whole_channels: bool = False) -> None:
        super().__init__()
        self.conv_drop, self.dense_drop, self.whole_channels = conv_drop, dense_drop, whole_channels
        first, second, third = _CHANNELS
        self.conv1 = nn.Conv2d(3, first, 3, padding=1)
        self.conv2 = nn.Conv2d(first, second, 3, padding=1)
        self.conv3 = nn.Conv2d(second, third, 3, padding=1)
        self.dense1 = Dense(_FLAT, FEATURES)
        self.dense2 = nn.Linear(FEATURES, len(CELL_TYPES))
        for layer in self.layers():
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def layers(self) -> tuple[nn.Conv2d | nn.Linear, ...]:
        """The five layers that carry parameters, in order."""
        return self.conv1, self.conv2, self.conv3, self.dense1, self.dense2

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 128, 128, 3) uint8 (or float, while augmenting) -> logits (N, 5), features (N, 1024) after ReLU."""
        if images.device.type == "cpu" and len(images) > _TOGETHER:
            starts = range(0, len(images), _TOGETHER)
            flat = torch.cat([self._maps(images[at : at + _TOGETHER]).flatten(1) for at in starts])
        else:
            flat = self._maps(images).flatten(1)
        features = functional.relu(self.dense1(flat))
        return self.dense2(functional.dropout(features, self.dense_drop, self.training)), features

    def _maps(self, images: Tensor) -> Tensor:
        """(N, 128, 128, 3) -> (N, 64, 16, 16) after the three convolutions."""
        x = standardise(images)
        for conv in (self.conv1, self.conv2, self.conv3):
            # Pooled before ReLU: both are monotonic, so the result is the same and ReLU has a quarter of the work.
            x = functional.relu(functional.max_pool2d(conv(x), 2))
            if self.training and self.conv_drop > 0:
                x = _drop_maps(x, self.conv_drop) if self.whole_channels else _drop(x, self.conv_drop)
        return x


def holding(weights: dict[str, Tensor]) -> WNet:
    """The network with these weights, on their device and in their memory, for asking; raises RuntimeError for others.

    Its own 16.8 million would be drawn at random only to be overwritten: a third of a second on a CPU.
    """
    with torch.device("meta"):
        network = WNet()
    network.load_state_dict(weights, assign=True)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.eval()


def _drop_maps(maps: Tensor, rate: float) -> Tensor:
    """Dropout of whole feature maps: (N, C, H, W), each of the N x C maps is zero with probability `rate`."""
    keep = torch.empty((*maps.shape[:2], 1, 1), device=maps.device).bernoulli_(1 - rate).div_(1 - rate)
    return maps * keep


def _drop(maps: Tensor, rate: float) -> Tensor:
    """Dropout value by value, of channels-last maps whose size is a multiple of four.

    The mask takes 16 random bits a value, four from each 64-bit draw: an eighth of the time of `functional.dropout`,
    which at batch 5 was a seventh of a step.
    """
    if maps.device.type != "cpu":
        return functional.dropout(maps, rate)
    n, channels, high, wide = maps.shape
    bits = torch.empty(maps.numel() // 4, dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
    kept = bits >= round(rate * _MASK_VALUES) - _MASK_VALUES // 2
    scale = kept.view(n, high, wide, channels).permute(0, 3, 1, 2) * (1 / (1 - rate))
    return maps * scale


def parameter_count(network: nn.Module) -> int:
    """Trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
