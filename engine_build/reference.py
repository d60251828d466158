"""The float32 reference: the bundle's ONNX graph evaluated node by node in NumPy, by no inference runtime at all."""

from collections.abc import Callable
from typing import Final

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from smear.bundle import Bundle
from worker.engines.face import Floats, Images


#: Pictures at once: im2col of the first convolution takes 1.8 MB a picture.
_BATCH: Final = 8


def reference_logits(bundle: Bundle, images: Images, on_batch: Callable[[int], object] = lambda _: None) -> Floats:
    """(N, 128, 128, 3) uint8 -> (N, 5) float32; `on_batch` is told how many pictures each batch held."""
    evaluator = ReferenceEvaluator(onnx.load(bundle.network))
    parts = []
    for at in range(0, len(images), _BATCH):
        batch = images[at : at + _BATCH]
        (logits,) = evaluator.run(["logits"], {"images": batch})
        parts.append(np.asarray(logits, np.float32))
        on_batch(len(batch))
    return np.concatenate(parts)
