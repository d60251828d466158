"""`make run`, once a start: the compiled forms that WNET_PRECISION needs, made while the workers work; none for fp32.

At idle priority, so that slides come first. Workers look between slides whether a verified form has come to be.
"""

import sys
import traceback

from smear import bundle as bundles
from smear import extras
from smear.plain import PlainError
from smear.priority import idle
from smear.settings import Settings, load_settings
from worker.batch import bundle_folder
from worker.engines.to_compile import lacking_packages, precisions_to_compile


def main() -> int:
    """Compile the bundle that serves, unless that was done; always 0, since the worker says what it lacks."""
    try:
        settings = load_settings()
        if (reason := _nothing_to_do(settings)) is not None:
            return _say(f"nothing is compiled: {reason}")
        served = bundles.load(bundle_folder(settings))
        wanted = precisions_to_compile(settings, served)
    except PlainError as error:
        return _say(f"nothing is compiled: {error}")
    if not wanted:
        return _say(f"{served.bundle_id} was compiled for this host already")
    if lacking := lacking_packages(wanted):
        return _say(f"nothing is compiled ({', '.join(lacking)} not installed): {extras.install_line('engines')}")
    idle()
    from engine_build.cli import app  # noqa: PLC0415 - its packages are an extra

    for precision in wanted:
        try:
            app(args=["build", str(served.folder), "--precision", precision], standalone_mode=False)
        except Exception:  # noqa: BLE001 - the last one to catch it; the workers go on without
            traceback.print_exc()
            return _say("nothing is compiled: a fault of this program; its traceback is above")
    return 0


def _nothing_to_do(settings: Settings) -> str | None:
    if settings.precision == "fp32":
        return "WNET_PRECISION=fp32 needs no compiled form"
    if not settings.compile or settings.engine not in {"auto", "openvino"}:
        return "WNET_COMPILE and WNET_ENGINE leave nothing to do"
    return None


def _say(sentence: str) -> int:
    print(sentence, flush=True)  # noqa: T201 - the supervisor shows and keeps it
    return 0


if __name__ == "__main__":
    sys.exit(main())
