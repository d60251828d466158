"""Which compiled forms a host still lacks for the precision that its settings choose, and what making them takes."""

from smear import extras
from smear.bundle import Bundle
from smear.settings import Settings
from worker.engines.forms import BadForm, Precision, StoredForm, stored_forms
from worker.engines.select import unfit


def precisions_to_compile(settings: Settings, bundle: Bundle) -> list[Precision]:
    """The precisions to compile OpenVINO forms of here, those already made left out; none for the reference."""
    if settings.engine not in {"auto", "openvino"} or settings.precision == "fp32":
        return []
    made = {
        one.form.precision
        for one in stored_forms(settings.engines_folder, bundle)
        if isinstance(one, StoredForm) and _made_here(one)
    }
    wanted: list[Precision] = _worth_racing() if settings.precision == "auto" else [settings.precision]
    return [precision for precision in wanted if precision not in made]


def lacking_packages(precisions: list[Precision]) -> list[str]:
    """The packages that compiling these takes and that are not installed: NNCF for int8 alone."""
    if not precisions:
        return []
    return [name for name in extras.missing("engines") if name != "nncf" or "int8" in precisions]


def _worth_racing() -> list[Precision]:
    from worker.engines.openvino import native_precision  # noqa: PLC0415 - the runtime is loaded where it is asked

    return ["bf16", "int8"] if native_precision() == "bf16" else ["int8"]


def _made_here(stored: StoredForm) -> bool:
    """Whether a form is for this processor and this OpenVINO, and whole: a damaged one is made again."""
    try:
        stored.check()
    except BadForm:
        return False
    return stored.form.backend == "openvino" and unfit(stored) is None
