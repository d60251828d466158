"""Which engine runs a bundle on this host."""

from pathlib import Path
from typing import Final

import structlog

from smear.bundle import Bundle
from worker.engines.face import Engine, EngineUnavailable
from worker.engines.forms import BadForm, StoredForm, stored_forms


log: Final = structlog.get_logger()
CHOICES: Final = ("auto", "tensorrt", "openvino", "onnx")
PRECISIONS: Final = ("fp32", "bf16", "int8", "auto")


def open_engine(
    bundle: Bundle, choice: str = "auto", threads: int = 0, engines: Path | None = None, precision: str = "fp32"
) -> Engine:
    """The engine for a verified bundle; raises EngineUnavailable with what is missing.

    `engines` is where compiled forms lie (WNET_VAR/engines); without it there are none. Only forms of the chosen
    precision are used: `fp32` falls back to the bundle's own network in float32, `bf16` and `int8` need a form that
    was verified here, `auto` takes the fastest verified form of any precision. The engine `auto` is TensorRT where
    there is such a plan and a GPU for it, else the CPU.
    The heavy runtimes are imported here, so that commands which classify nothing start without them.
    """
    if choice not in CHOICES:
        raise EngineUnavailable(f"there is no engine {choice!r}: set WNET_ENGINE to {', '.join(CHOICES)}")
    if precision not in PRECISIONS:
        raise EngineUnavailable(f"there is no precision {precision!r}: set WNET_PRECISION to {', '.join(PRECISIONS)}")
    forms = [] if engines is None else of_precision(_readable(engines, bundle), precision)
    if choice == "tensorrt" or (choice == "auto" and any(stored.form.backend == "tensorrt" for stored in forms)):
        try:
            return _tensorrt(bundle, engines, precision)
        except EngineUnavailable as error:
            if choice == "tensorrt":
                raise
            log.warning("TensorRT is not used", reason=str(error))
    reasons = []
    for stored in _worth_taking(forms, precision):
        if choice in {"auto", stored.form.backend}:
            try:
                return open_form(stored, threads)
            except (BadForm, EngineUnavailable) as error:
                log.warning("a compiled form is not used", reason=str(error))
                reasons.append(str(error))
    if precision in {"bf16", "int8"}:
        raise EngineUnavailable(_lacking(bundle, choice, precision, reasons))
    return _onnx(bundle.network, threads) if choice == "onnx" else _openvino(bundle.network, threads)


def of_precision(forms: list[StoredForm], precision: str) -> list[StoredForm]:
    """The forms that may serve under this WNET_PRECISION."""
    return [stored for stored in forms if precision in {"auto", stored.form.precision}]


def _worth_taking(forms: list[StoredForm], precision: str) -> list[StoredForm]:
    """Verified forms for the CPU, the fastest first. A precision that was chosen on purpose may be a slower one."""
    if precision in {"bf16", "int8"}:
        return [stored for _, stored in _by_speed(forms)]
    return faster_forms(forms)


def _lacking(bundle: Bundle, choice: str, precision: str, reasons: list[str]) -> str:
    backend = "onnx" if choice == "onnx" else "openvino"
    why = f" ({'; '.join(reasons)})" if reasons else ""
    return (
        f"this host has no verified {precision} form of {bundle.bundle_id}{why}: "
        f"`engine-build build {bundle.folder} --backend {backend} --precision {precision}` makes it, "
        "WNET_PRECISION=fp32 needs none"
    )


def open_form(stored: StoredForm, threads: int = 0) -> Engine:
    """The engine of one compiled form for the CPU; raises EngineUnavailable, BadForm."""
    if stored.form.backend == "openvino":
        return _openvino(stored, threads)
    if stored.form.backend == "onnx":
        return _onnx(stored, threads)
    raise EngineUnavailable(f"{stored.folder} is a TensorRT plan")


def unfit(stored: StoredForm) -> str | None:
    """Why a form for the CPU was not made for this host, in plain words, without running it; None where it was."""
    try:
        if stored.form.backend == "openvino":
            from worker.engines.openvino import mismatch  # noqa: PLC0415 - see above
        else:
            from worker.engines.onnx import mismatch  # noqa: PLC0415 - see above
    except ImportError as error:
        return f"{stored.form.runtime} cannot be loaded: {error}"
    return mismatch(stored)


def faster_forms(forms: list[StoredForm]) -> list[StoredForm]:
    """The CPU's forms that were verified, and are faster than no form at all, the fastest first."""
    return [stored for times, stored in _by_speed(forms) if times > 1]


def _by_speed(forms: list[StoredForm]) -> list[tuple[float, StoredForm]]:
    verified = [
        (stored.form.verification.times_default, stored)
        for stored in forms
        if stored.form.backend != "tensorrt" and stored.form.verification is not None and stored.form.serves
    ]
    return sorted(verified, key=lambda pair: -pair[0])


def _readable(engines: Path, bundle: Bundle) -> list[StoredForm]:
    found = []
    for stored in stored_forms(engines, bundle):
        if isinstance(stored, StoredForm):
            found.append(stored)
        else:
            log.warning("a compiled form is not used", reason=str(stored))
    return found


def _tensorrt(bundle: Bundle, engines: Path | None, precision: str) -> Engine:
    from worker.engines.tensorrt import missing, open_plan  # noqa: PLC0415 - see above

    if engines is None:
        lacking = missing()
        raise EngineUnavailable("; ".join(lacking) or "compiled forms are not looked for here")
    return open_plan(bundle, engines, precision)


def _openvino(network: Path | StoredForm, threads: int) -> Engine:
    try:
        from worker.engines.openvino import OpenVinoEngine, mismatch  # noqa: PLC0415 - see above
    except ImportError as error:
        raise EngineUnavailable(f"OpenVINO cannot be loaded: {error}") from None
    if isinstance(network, StoredForm) and (why := mismatch(network)):
        raise BadForm(why)
    return OpenVinoEngine(network, threads)


def _onnx(network: Path | StoredForm, threads: int) -> Engine:
    try:
        from worker.engines.onnx import OnnxEngine, mismatch  # noqa: PLC0415 - see above
    except ImportError as error:
        raise EngineUnavailable(f"ONNX Runtime cannot be loaded ({error}): pip install '.[onnx]'") from None
    if isinstance(network, StoredForm) and (why := mismatch(network)):
        raise BadForm(why)
    return OnnxEngine(network, threads)
