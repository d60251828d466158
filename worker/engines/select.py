"""Which engine runs a bundle on this host."""

from pathlib import Path
from typing import Final

import structlog

from smear.bundle import Bundle
from worker.engines.face import Engine, EngineUnavailable
from worker.engines.forms import BadForm, StoredForm, stored_forms


log: Final = structlog.get_logger()
CHOICES: Final = ("auto", "tensorrt", "openvino", "onnx")


def open_engine(bundle: Bundle, choice: str = "auto", threads: int = 0, engines: Path | None = None) -> Engine:
    """The engine for a verified bundle; raises EngineUnavailable with what is missing.

    `engines` is where compiled forms lie (WNET_VAR/engines); without it there are none. `auto` is TensorRT where there
    is a plan and a GPU for it, else the fastest verified form for the CPU, else OpenVINO on the bundle's own network.
    The heavy runtimes are imported here, so that commands which classify nothing start without them.
    """
    if choice not in CHOICES:
        raise EngineUnavailable(f"there is no engine {choice!r}: set WNET_ENGINE to {', '.join(CHOICES)}")
    forms = [] if engines is None else _readable(engines, bundle)
    if choice == "tensorrt" or (choice == "auto" and any(stored.form.backend == "tensorrt" for stored in forms)):
        try:
            return _tensorrt(bundle, engines)
        except EngineUnavailable as error:
            if choice == "tensorrt":
                raise
            log.warning("TensorRT is not used", reason=str(error))
    for stored in faster_forms(forms):
        if choice in {"auto", stored.form.backend}:
            try:
                return open_form(stored, threads)
            except (BadForm, EngineUnavailable) as error:
                log.warning("a compiled form is not used", reason=str(error))
    return _onnx(bundle.network, threads) if choice == "onnx" else _openvino(bundle.network, threads)


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
    verified = [
        (stored.form.verification.times_default, stored)
        for stored in forms
        if stored.form.backend != "tensorrt" and stored.form.verification is not None and stored.form.serves
    ]
    return [stored for times, stored in sorted(verified, key=lambda pair: -pair[0]) if times > 1]


def _readable(engines: Path, bundle: Bundle) -> list[StoredForm]:
    found = []
    for stored in stored_forms(engines, bundle):
        if isinstance(stored, StoredForm):
            found.append(stored)
        else:
            log.warning("a compiled form is not used", reason=str(stored))
    return found


def _tensorrt(bundle: Bundle, engines: Path | None) -> Engine:
    from worker.engines.tensorrt import missing, open_plan  # noqa: PLC0415 - see above

    if engines is None:
        lacking = missing()
        raise EngineUnavailable("; ".join(lacking) or "compiled forms are not looked for here")
    return open_plan(bundle, engines)


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
