"""W-Net layer by layer, and a data folder in the layout of the paper's Table 2."""

from dataclasses import asdict, dataclass
from typing import Any

import torch

from smear.cells import CELL_TYPES
from smear.geometry import SIDE_PX
from smear.labelled import LabelledCell
from trainer.wnet import FEATURES, WNet, parameter_count


@dataclass(frozen=True)
class Layer:
    """One line of the description; `shape` is (height, width, channels) or (width,), without the batch."""

    name: str
    shape: tuple[int, ...]
    parameters: int


def layers() -> list[Layer]:
    """From picture to logits. The parameters are counted in the network itself, not computed from its description."""
    network = WNet()
    side, lines = SIDE_PX, [Layer("standardise each picture", (SIDE_PX, SIDE_PX, 3), 0)]
    for number, conv in enumerate((network.conv1, network.conv2, network.conv3), start=1):
        lines.append(Layer(f"convolution {number}, 3x3, same", (side, side, conv.out_channels), parameter_count(conv)))
        side //= 2
        lines.append(Layer("max-pool 2x2, ReLU, dropout", (side, side, conv.out_channels), 0))
    lines += [
        Layer("flatten", (network.dense1.in_features,), 0),
        Layer("dense 1, ReLU, dropout", (FEATURES,), parameter_count(network.dense1)),
        Layer("dense 2", (len(CELL_TYPES),), parameter_count(network.dense2)),
    ]
    with torch.inference_mode():
        logits, features = network.eval()(torch.zeros((1, SIDE_PX, SIDE_PX, 3), dtype=torch.uint8))
    assert (*features.shape[1:],) == lines[-2].shape
    assert (*logits.shape[1:],) == lines[-1].shape
    return lines


def as_json(name: str, lines: list[Layer]) -> dict[str, Any]:
    """The object that `trainer describe --json` prints; no parameters where their number depends on the data."""
    return {
        "model": name,
        "parameters": sum(line.parameters for line in lines) or None,
        "layers": [asdict(line) for line in lines],
    }


def table2(cells: list[LabelledCell]) -> list[tuple[str, int, float]]:
    """(type, count, share in per cent), in the project's order of types: the paper's Table 2 for these cells."""
    counts = {cell_type: sum(cell.cell_type == cell_type for cell in cells) for cell_type in CELL_TYPES}
    return [(cell_type, n, 100 * n / len(cells)) for cell_type, n in counts.items()]
