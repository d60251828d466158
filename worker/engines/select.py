"""Which engine runs a bundle on this host."""

from smear.bundle import Bundle
from worker.engines.face import Engine, EngineUnavailable


def open_engine(bundle: Bundle, choice: str = "auto", threads: int = 0) -> Engine:
    """The engine for a verified bundle; raises EngineUnavailable with what is missing.

    `auto` is OpenVINO on the CPU. The heavy runtime is imported here, so that commands which classify nothing
    start without it.
    """
    if choice not in {"auto", "openvino"}:
        raise EngineUnavailable(f"engine {choice!r} is not part of this version: set WNET_ENGINE to auto or openvino")
    try:
        from worker.engines.openvino import OpenVinoEngine  # noqa: PLC0415 - see above
    except ImportError as error:
        raise EngineUnavailable(f"OpenVINO cannot be loaded: {error}") from None
    return OpenVinoEngine(bundle.network, threads)
