"""What a bundle's ONNX file answers, run by ONNX Runtime: the trainer judges the very file that workers serve."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnxruntime

from smear.bundle import BadBundle
from smear.cells import CELL_TYPES
from smear.geometry import SIDE_PX


Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

_BATCH: Final = 64
_ERRORS_ONLY: Final = 3
_TAKES: Final = ("images", "tensor(uint8)", [SIDE_PX, SIDE_PX, 3])
_GIVES: Final = ("logits", "tensor(float)", [len(CELL_TYPES)])


def answers(
    network: Path | bytes, images: Images, on_batch: Callable[[int], object] = lambda _: None
) -> tuple[Floats, Floats]:
    """(N, 128, 128, 3) uint8 -> logits (N, 5), features (N, 1024), float32, in batches of 64.

    `on_batch` is told how many pictures each batch held. Raises BadBundle for a network that is no W-Net.
    """
    session = _session(network)
    parts = []
    for at in range(0, len(images), _BATCH):
        batch = images[at : at + _BATCH]
        parts.append(session.run(["logits", "features"], {"images": batch}))
        on_batch(len(batch))
    if not parts:
        return np.empty((0, 5), np.float32), np.empty((0, 1024), np.float32)
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def _session(network: Path | bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    source, name = (network, "the network") if isinstance(network, bytes) else (str(network), network)
    try:
        session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its classes have no common parent but this
        raise BadBundle(f"{name} is no network that ONNX Runtime can run") from error
    parts = (session.get_inputs(), session.get_outputs())
    inputs, outputs = ([(tensor.name, tensor.type, tensor.shape[1:]) for tensor in part] for part in parts)
    if inputs != [_TAKES] or _GIVES not in outputs or "features" not in {output[0] for output in outputs}:
        raise BadBundle(f"{name} is no W-Net: it takes or gives something else")
    return session
