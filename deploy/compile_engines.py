"""`make run`, once a start: the forms that may be faster than the bundle's own network, made while the workers work.

At idle priority, so that slides come first. Workers look between slides whether a verified form has come to be, and
take the fastest; nothing waits for this, and nothing is wrong where it cannot be done.
"""

import sys
import traceback

from smear import bundle as bundles
from smear.plain import PlainError
from smear.priority import idle
from smear.settings import load_settings
from worker.batch import bundle_folder
from worker.engines.forms import BadForm, StoredForm, stored_forms
from worker.engines.select import unfit


def main() -> int:
    """Compile the bundle that serves, unless that was done; always 0, since the service does without."""
    try:
        settings = load_settings()
        if not settings.compile or settings.engine not in {"auto", "openvino"}:
            return _said("nothing is compiled: WNET_COMPILE and WNET_ENGINE leave nothing to do")
        served = bundles.load(bundle_folder(settings))
        for one in stored_forms(settings.engines_folder, served):
            if isinstance(one, StoredForm) and one.form.precision == "int8" and _made_here(one):
                return _said(f"{served.bundle_id} was compiled for this host already")
    except PlainError as error:
        return _said(f"nothing is compiled: {error}")
    idle()
    try:
        from engine_build.cli import app  # noqa: PLC0415 - its packages are an extra
    except ImportError as error:
        return _said(f"nothing is compiled ({error}): pip install '.[engines]' makes int8, which may be faster")
    try:
        app(args=["build", str(served.folder), "--precision", "int8"], standalone_mode=False)
    except Exception:  # noqa: BLE001 - the last one to catch it; the workers go on without
        traceback.print_exc()
        return _said("nothing is compiled: a fault of this program, told above")
    return 0


def _made_here(stored: StoredForm) -> bool:
    """Whether a form is for this processor and this OpenVINO, and whole: a damaged one is made again."""
    try:
        stored.check()
    except BadForm:
        return False
    return stored.form.backend == "openvino" and unfit(stored) is None


def _said(sentence: str) -> int:
    print(sentence, flush=True)  # noqa: T201 - the supervisor shows and keeps it
    return 0


if __name__ == "__main__":
    sys.exit(main())
