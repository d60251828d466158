"""The import shim over TensorRT 10.x and 11.x (`tensorrt`) and TensorRT-RTX (`tensorrt_rtx`).

All three share the strongly typed API: no precision flags, no calibrators, `set_input_shape`, `set_tensor_address`,
`execute_async_v3`. Nothing else of theirs is used anywhere.
"""

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import structlog

from worker.engines.face import EngineUnavailable


log: Final = structlog.get_logger()

Flavour = Literal["tensorrt", "tensorrt_rtx"]
#: Module names, in the order in which they are tried; the wheel of RTX's bindings alone carries the last name.
_MODULES: Final[dict[Flavour, tuple[str, ...]]] = {
    "tensorrt": ("tensorrt",),
    "tensorrt_rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings"),
}
#: The major versions of each whose API this is.
_KNOWN: Final[dict[Flavour, tuple[int, ...]]] = {"tensorrt": (10, 11), "tensorrt_rtx": (1,)}
FLAVOURS: Final[tuple[Flavour, ...]] = ("tensorrt", "tensorrt_rtx")


@dataclass(frozen=True)
class Trt:
    """A TensorRT that was imported: `module` is `tensorrt` or `tensorrt_rtx`."""

    flavour: Flavour
    module: Any
    version: str


def load(flavour: Flavour | None = None) -> Trt:
    """Import the TensorRT of this flavour, or the first there is; raises EngineUnavailable.

    Importing is harmless without a driver; making a runtime is not, see `driver.problem`.
    """
    reasons = []
    for name in FLAVOURS if flavour is None else (flavour,):
        for module in _MODULES[name]:
            if not present(module):
                continue
            try:
                found = importlib.import_module(module)
                version = str(found.__version__)
                major = int(version.split(".", maxsplit=1)[0])
            except Exception as error:  # noqa: BLE001 - a missing library shows itself as almost anything
                reasons.append(f"{module} cannot be loaded: {' '.join(str(error).split())}")
                continue
            if major not in _KNOWN[name]:
                reasons.append(f"{module} {version} is unknown to this version")
                continue
            return Trt(name, found, version)
    raise EngineUnavailable("; ".join(reasons) or f"{_named(flavour)} is not installed: pip install '.[gpu]'")


def present(module: str) -> bool:
    """Whether a module could be imported, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def installed() -> bool:
    """Whether any TensorRT could be imported, without importing it."""
    return any(present(module) for modules in _MODULES.values() for module in modules)


def start(make: Callable[[Any], Any], logger: Any, said: list[str]) -> Any:
    """A runtime or a builder; raises EngineUnavailable where there is none to be had, such as with too old a driver."""
    try:
        return make(logger)
    except TypeError:  # what its bindings make of a null pointer; the reason is what the logger heard
        raise EngineUnavailable(f"TensorRT does not start: {said[-1] if said else 'it gives no reason'}") from None


def logger(trt: Trt, said: list[str]) -> Any:
    """A TensorRT logger that keeps errors and warnings in `said`, the last 20, and logs what is worse than a note."""
    base = trt.module.ILogger
    grave = {base.INTERNAL_ERROR, base.ERROR, base.WARNING}

    class Logger(base):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            base.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity in grave:
                said.append(" ".join(message.split())[:300])
                del said[:-20]
                log.debug("tensorrt", severity=severity.name, message=message)

    return Logger()


def _named(flavour: Flavour | None) -> str:
    return "TensorRT-RTX" if flavour == "tensorrt_rtx" else "TensorRT"
