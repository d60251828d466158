"""The float32 reference: the bundle's ONNX graph evaluated node by node in NumPy, by no inference runtime at all.

That takes a third of a second a picture, so over many pictures OpenVINO's float32 stands in for it - after it was
held beside the real one on a few of them.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from smear.bundle import Bundle
from smear.decision import softmax
from worker.engines.face import EngineUnavailable, Floats, Images
from worker.engines.openvino import OpenVinoEngine


#: Pictures at once: im2col of the first convolution takes 1.8 MB a picture.
_BATCH: Final = 8
#: Pictures on which the stand-in is held beside the reference, and how far its probabilities may be off there.
_ANCHORS: Final = 6
_ANCHOR_DIFFERENCE: Final = 1e-3


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


def anchored_logits(bundle: Bundle, images: Images, on_batch: Callable[[int], object] = lambda _: None) -> Floats:
    """As `reference_logits`, from OpenVINO in float32, checked against NumPy on pictures spread over all.

    Raises EngineUnavailable where the two differ. `on_batch` is told of all N pictures.
    """
    logits, _ = OpenVinoEngine(bundle.network, precision="fp32").infer(images)
    some = np.unique(np.linspace(0, len(images) - 1, min(_ANCHORS, len(images))).round().astype(int))
    temperature = bundle.manifest.calibration.temperature
    exact = softmax(reference_logits(bundle, np.ascontiguousarray(images[some])), temperature)
    off = float(np.abs(exact - softmax(logits[some], temperature)).max())
    if not off <= _ANCHOR_DIFFERENCE:
        raise EngineUnavailable(f"OpenVINO in float32 is off the reference by {off:.2g}: nothing can be verified here")
    on_batch(len(images))
    return logits
