"""What a bundle's ONNX file answers, run by ONNX Runtime: the trainer judges the very file that workers serve."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnxruntime


Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

_BATCH: Final = 64
_ERRORS_ONLY: Final = 3


def answers(
    network: Path | bytes, images: Images, on_batch: Callable[[int], object] = lambda _: None
) -> tuple[Floats, Floats]:
    """(N, 128, 128, 3) uint8 -> logits (N, 5), features (N, 1024), float32, in batches of 64.

    `on_batch` is told how many pictures each batch held.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    source = network if isinstance(network, bytes) else str(network)
    session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    parts = []
    for at in range(0, len(images), _BATCH):
        batch = images[at : at + _BATCH]
        parts.append(session.run(["logits", "features"], {"images": batch}))
        on_batch(len(batch))
    if not parts:
        return np.empty((0, 5), np.float32), np.empty((0, 1024), np.float32)
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
