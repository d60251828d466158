"""ONNX Runtime on the CPU: an engine beside OpenVINO, for hosts where that does not run. Optional: `.[onnx]`."""

import os
from importlib.metadata import version
from pathlib import Path
from typing import Final

import onnxruntime as ort

from worker.engines.face import EngineUnavailable, Floats, Images, check_images, empty_answer
from worker.engines.forms import ONNX_MODEL, StoredForm, processor


RUNTIME: Final = "onnxruntime"
PROVIDER: Final = "CPUExecutionProvider"
#: As OpenVINO's: more pictures at once push the convolutions out of the cache.
LARGEST_BATCH: Final = 32


class OnnxEngine:
    """W-Net through ONNX Runtime; a session may be asked by several threads at once."""

    def __init__(self, network: Path | StoredForm, threads: int = 0) -> None:
        """A bundle's ONNX file or a compiled form. Raises EngineUnavailable, BadForm."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or len(os.sched_getaffinity(0))
        options.log_severity_level = 4
        source: bytes | str
        if isinstance(network, StoredForm):
            source, precision = network.read(ONNX_MODEL), network.form.precision
        else:
            source, precision = os.fspath(network), "fp32"
        try:
            self._session = ort.InferenceSession(source, options, providers=[PROVIDER])
        except Exception as error:  # noqa: BLE001 - its errors share no base class of their own
            reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            raise EngineUnavailable(f"ONNX Runtime cannot load {_shown(network)}: {reason}") from None
        # It falls back to other providers without a word.
        if self._session.get_providers() != [PROVIDER]:
            raise EngineUnavailable(f"ONNX Runtime would not run {_shown(network)} on {PROVIDER}")
        self.name = f"onnx-{precision}"

    def infer(self, images: Images) -> tuple[Floats, Floats]:
        """See `Engine.infer`."""
        check_images(images)
        logits, features = empty_answer(len(images))
        for start in range(0, len(images), LARGEST_BATCH):
            part = slice(start, start + LARGEST_BATCH)
            try:
                logits[part], features[part] = self._session.run(["logits", "features"], {"images": images[part]})
            except Exception as error:
                reason = str(error).strip().splitlines()[-1]
                raise EngineUnavailable(f"ONNX Runtime failed at its work: {reason}") from error
        return logits, features


def mismatch(stored: StoredForm) -> str | None:
    """Why a form was not made for this host and this ONNX Runtime, in plain words; None where it was."""
    form = stored.form
    if form.version != version(RUNTIME):
        return (
            f"{stored.folder} was verified on ONNX Runtime {form.version}, here is {version(RUNTIME)}: build it again"
        )
    if form.device != processor():
        return f"{stored.folder} was verified on a processor with {form.device}, this one has {processor()}"
    return None


def _shown(network: Path | StoredForm) -> str:
    return str(network.folder) if isinstance(network, StoredForm) else network.name
