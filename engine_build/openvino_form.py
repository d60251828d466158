"""A bundle as OpenVINO's own files: float32 and bfloat16 as they are, int8 by NNCF's post-training quantisation."""

import contextlib
import importlib.util
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import openvino as ov

from smear.bundle import Bundle
from worker.engines.face import EngineUnavailable, Images
from worker.engines.forms import CannotKeep, Precision, processor
from worker.engines.openvino import MODEL


#: Operations that stay float: everything before the first convolution, and the last layer.
_STANDARDISATION: Final = (
    "planes", "values", "mean", "centred", "squared", "row_variance", "variance", "deviation", "divisor", "maps0",
)  # fmt: skip
_LAST: Final = ("logits/WithoutBiases", "logits")


def compile_form(
    bundle: Bundle, precision: Precision, folder: Path, calibration: Images, kept: tuple[str, ...] = ()
) -> None:
    """Write network.xml and network.bin into a folder. `kept`: layers that stay float in int8, such as "conv1".

    Raises EngineUnavailable where NNCF is needed and missing, CannotKeep where the files cannot be written.
    """
    model = ov.Core().read_model(bundle.network)
    if precision == "int8":
        model = _quantised(model, calibration, kept)
    # The bundle's weights are float16, so keeping them as such loses nothing; int8's scales are float32 and stay so.
    try:
        ov.save_model(model, folder / MODEL, compress_to_fp16=precision != "int8")
    except RuntimeError:  # it says no more than "iostream error"
        raise CannotKeep(f"OpenVINO cannot write a compiled form below {folder.parent}: is the disk full?") from None


def has_nncf() -> bool:
    """Whether int8 can be made here."""
    return importlib.util.find_spec("nncf") is not None


def _quantised(model: ov.Model, calibration: Images, kept: tuple[str, ...]) -> ov.Model:
    nncf = _nncf()
    float_names = (*_STANDARDISATION, *_LAST, *(f"{layer}/WithoutBiases" for layer in kept))
    there = {operation.get_friendly_name() for operation in model.get_ordered_ops()}
    # Without VNNI two products are summed in 16 bits, which overflow unless the weights leave a bit free.
    exact_sums = "vnni" in processor() or "amx" in processor()
    # Its progress bar would stand on standard output, where `--json` promises objects alone.
    with contextlib.redirect_stdout(sys.stderr):
        return nncf.quantize(
            model,
            nncf.Dataset([calibration[i : i + 1] for i in range(len(calibration))]),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(calibration),
            ignored_scope=nncf.IgnoredScope(names=[name for name in float_names if name in there]),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                overflow_fix=nncf.OverflowFix.DISABLE if exact_sums else nncf.OverflowFix.ENABLE
            ),
        )


def _nncf() -> Any:
    with _without_torch():
        try:
            nncf = importlib.import_module("nncf")
        except ImportError as error:
            raise EngineUnavailable(f"int8 is made by NNCF ({error}): pip install '.[engines]'") from None
    logging.getLogger("nncf").setLevel(logging.ERROR)
    return nncf


@contextlib.contextmanager
def _without_torch() -> Iterator[None]:
    """NNCF loads torch where that is installed, for a backend that is not used here; None makes an import fail."""
    if "torch" in sys.modules:
        yield
        return
    sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["torch"]
