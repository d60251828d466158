"""OpenVINO on the CPU: the engine of every host without a GPU."""

import contextlib
import os
import threading
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import openvino as ov

from worker.engines.face import EngineUnavailable, Floats, Images, check_images, empty_answer
from worker.engines.forms import Precision, StoredForm, processor


RUNTIME: Final = "openvino"
MODEL, WEIGHTS = "network.xml", "network.bin"
#: Pictures a request, at the most: more would share the reading of the dense layer's 64 MB among more pictures, but
#: push the convolutions out of the cache. On two AVX2 cores, 150 pictures in requests of 8, 16, 25, 75: 965, 1,013,
#: 1,053, 1,087 a second, but in requests of 50 only 824.
LARGEST_BATCH: Final = 32


class OpenVinoEngine:
    """W-Net through OpenVINO.

    One stream a thread: requests run side by side, each on its own core. Calls from several threads take turns,
    since one call already uses every core it was given.
    """

    def __init__(self, network: Path | StoredForm, threads: int = 0, precision: Precision | None = None) -> None:
        """A bundle's ONNX file, or a compiled form; `threads` 0: as many as this process may run on.

        `precision` of an ONNX file: float32, the reference, unless another is given. The engine's name says what is
        computed in.
        Raises EngineUnavailable, and BadForm for a form whose files are not what its sidecar says.
        """
        threads = threads or len(os.sched_getaffinity(0))
        core = ov.Core()
        if isinstance(network, StoredForm):
            precision, shown = network.form.precision, str(network.folder)
            source: tuple[Any, ...] = (network.read(MODEL), ov.Tensor(np.frombuffer(network.read(WEIGHTS), np.uint8)))
        else:
            precision, shown, source = precision or "fp32", network.name, (network,)
        # Without the hint OpenVINO chooses a reduced precision by itself.
        hints = {
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
            "NUM_STREAMS": str(threads),
            "INFERENCE_NUM_THREADS": str(threads),
        }
        try:
            compiled = core.compile_model(core.read_model(*source), "CPU", hints)
        except RuntimeError as error:
            raise EngineUnavailable(f"OpenVINO cannot compile {shown}: {_last_line(error)}") from None
        # A processor without bfloat16 computes in float32 all the same, and OpenVINO does not say so by itself.
        emulated = precision == "bf16" and compiled.get_property("INFERENCE_PRECISION_HINT") != ov.Type.bf16
        self.name = f"openvino-{'fp32' if emulated else precision}"
        self._requests = ov.AsyncInferQueue(compiled, threads)
        self._requests.set_callback(_keep)
        self._streams, self._turn = threads, threading.Lock()

    def infer(self, images: Images) -> tuple[Floats, Floats]:
        """See `Engine.infer`."""
        check_images(images)
        logits, features = empty_answer(len(images))
        with self._turn, _failure_named():
            # As many requests for each stream, of the same size: all streams end together.
            rounds = -(-len(images) // (self._streams * LARGEST_BATCH))
            size = -(-len(images) // max(rounds * self._streams, 1))
            for start in range(0, len(images), max(size, 1)):
                part = slice(start, min(start + size, len(images)))
                # The pictures outlive the requests, so they need not be copied.
                self._requests.start_async({"images": images[part]}, (logits[part], features[part]), share_inputs=True)
            self._requests.wait_all()
        return logits, features


@contextlib.contextmanager
def _failure_named() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise EngineUnavailable(f"OpenVINO failed at its work: {_last_line(error)}") from error


def _last_line(error: RuntimeError) -> str:
    """What OpenVINO says in the end; before it stand the places in its source."""
    return [line.strip() for line in str(error).splitlines() if line.strip()][-1]


def native_precision() -> Precision:
    """The least precise floating point this processor computes in: bfloat16 where it does, else float32."""
    return "bf16" if "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "fp32"


def mismatch(stored: StoredForm) -> str | None:
    """Why a form was not made for this host and this OpenVINO, in plain words; None where it was."""
    form = stored.form
    if form.version != version(RUNTIME):
        return f"{stored.folder} was compiled by OpenVINO {form.version}, here is {version(RUNTIME)}: build it again"
    if form.device != processor():
        return f"{stored.folder} was compiled for a processor with {form.device}, this one has {processor()}"
    return None


def _keep(request: ov.InferRequest, into: tuple[Floats, Floats]) -> None:
    logits, features = into
    logits[:] = request.get_tensor("logits").data
    features[:] = request.get_tensor("features").data
