"""From a bundle to a compiled form of it: made, verified on real pictures, and only then put where workers look."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import onnx

from engine_build.calibration import Pictures, ranges
from engine_build.openvino_form import compile_form, has_nncf
from engine_build.plan import compile_plan
from engine_build.precision import at_precision
from engine_build.verification import judge, open_stored
from smear.bundle import NETWORK, Bundle
from worker.engines import driver
from worker.engines.face import EngineUnavailable, Floats
from worker.engines.forms import ONNX_MODEL, Backend, Form, Precision, StoredForm, file_sha256, processor, write
from worker.engines.gpu import open_gpu
from worker.engines.openvino import OpenVinoEngine, native_precision
from worker.engines.tensorrt import ANY_GPU


PRECISIONS: Final[dict[Backend, tuple[Precision, ...]]] = {
    "openvino": ("fp32", "bf16", "int8"),
    "tensorrt": ("fp32", "fp16", "int8"),
    "onnx": ("fp32", "int8"),
}
#: Layers that int8 leaves alone, attempt by attempt, until the bundle's limits are kept.
_KEPT: Final[tuple[tuple[str, ...], ...]] = ((), ("conv1",), ("conv1", "dense1"))


class NotHere(ValueError):
    """A form that this host cannot make, or that nothing can; its text says why."""


@dataclass(frozen=True)
class Bench:
    """What forms of one bundle are made and judged with; `reference`: (N, 5) logits of the verification pictures.

    `say` is told in a sentence what a person should know beside the forms themselves.
    """

    bundle: Bundle
    engines: Path
    pictures: Pictures
    reference: Floats
    default: OpenVinoEngine
    say: Callable[[str], object]


def sensible(backend: Backend) -> tuple[Precision, ...]:
    """The precisions worth making on this host: no bfloat16 that would be emulated, no int8 without its tool."""
    native = native_precision()
    return tuple(
        precision
        for precision in PRECISIONS[backend]
        if backend != "openvino" or ((precision != "bf16" or native == "bf16") and (precision != "int8" or has_nncf()))
    )


def build(
    bench: Bench, backend: Backend, precision: Precision, tell: Callable[[str], object] = lambda _: None
) -> StoredForm:
    """Make one compiled form, verify it, put it in its place. Raises NotHere, EngineUnavailable.

    One that does not keep to the bundle's limits is put there too, marked: `inspect` shows it, no worker uses it.
    """
    if precision not in PRECISIONS[backend]:
        raise NotHere(f"{backend} is built in {', '.join(PRECISIONS[backend])}, not in {precision}")
    if (backend, precision) == ("openvino", "bf16") and native_precision() != "bf16":
        raise NotHere("this processor does not compute in bfloat16: OpenVINO would do it in float32")
    stored: StoredForm | None = None
    for kept in _KEPT if precision == "int8" else ((),):
        tell(f"{backend}-{precision}" + (f", {' and '.join(kept)} kept in float" if kept else ""))
        stored = write(bench.engines, bench.bundle, partial(_make, bench, backend, precision, kept))
        if stored.form.verification is None or stored.form.verification.ok:
            break
    assert stored is not None
    return stored


def _make(bench: Bench, backend: Backend, precision: Precision, kept: tuple[str, ...], folder: Path) -> Form:
    calibrated = precision == "int8"
    told: dict[str, Any] = {"device": processor()}
    if backend == "openvino":
        compile_form(bench.bundle, precision, folder, bench.pictures.calibration, kept)
        told |= {"runtime": "openvino", "version": version("openvino")}
    elif backend == "onnx":
        _onnx(bench, precision, kept, folder / ONNX_MODEL)
        told |= {"runtime": "onnxruntime", "version": _onnxruntime()}
    else:
        told |= _gpu()  # asked first: a builder without a device does not explain itself
        loaded = compile_plan(_graph(bench, precision, kept), folder)
        told |= {"runtime": loaded.flavour, "version": loaded.version}
    form = Form(
        bundle=bench.bundle.bundle_id,
        network_sha256=bench.bundle.manifest.files[NETWORK],
        backend=backend,
        precision=precision,
        files={path.name: file_sha256(path) for path in sorted(folder.iterdir())},
        calibration=bench.pictures.calibration_name if calibrated else None,
        kept_float=("standardisation", *kept, "dense2") if calibrated else (),
        built=datetime.now(UTC).replace(microsecond=0),
        **told,
    )
    try:
        engine = open_stored(StoredForm(folder, form))
    except EngineUnavailable as error:
        if backend != "tensorrt":
            raise
        bench.say(f"{form.name} was built and not run: {error}")
        return form  # nothing serves it before `verify` saw it run
    pictures = bench.pictures
    verdict = judge(
        engine, bench.default, bench.reference, pictures.verification, bench.bundle, pictures.verification_name
    )
    return form.model_copy(update={"verification": verdict})


def _graph(bench: Bench, precision: Precision, kept: tuple[str, ...]) -> onnx.ModelProto:
    found = ranges(bench.bundle, bench.pictures.calibration) if precision == "int8" else None
    return at_precision(onnx.load(bench.bundle.network), precision, found, kept)


def _onnx(bench: Bench, precision: Precision, kept: tuple[str, ...], path: Path) -> None:
    path.write_bytes(_graph(bench, precision, kept).SerializeToString())


def _onnxruntime() -> str:
    try:
        return version("onnxruntime")
    except ImportError:
        raise EngineUnavailable("ONNX Runtime is not installed: pip install '.[onnx]'") from None


def _gpu() -> dict[str, Any]:
    """For which GPU a plan was built: TensorRT builds for the one that is there, TensorRT-RTX also without any."""
    if driver.problem() is not None:
        return {"device": ANY_GPU}
    gpu = open_gpu()
    return {"device": gpu.name, "compute_capability": gpu.compute_capability, "driver": gpu.driver}
