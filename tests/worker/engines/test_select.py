"""Which engine runs: the reference precision unless another is chosen, and only forms of the chosen precision."""

import pytest

from worker.engines import select
from worker.engines.face import EngineUnavailable
from worker.engines.select import open_engine


@pytest.fixture
def engines(tmp_path):
    return tmp_path / "engines"


@pytest.fixture
def opened(monkeypatch):
    """What was opened instead of a real engine: a form's name, or the ONNX file's."""
    told = []

    def instead(network, threads):
        told.append(getattr(network, "form", network).name)
        return told[-1]

    monkeypatch.setattr(select, "_openvino", instead)
    monkeypatch.setattr(select, "_onnx", instead)
    return told


def test_without_compiled_forms_it_is_openvino_on_the_bundles_own_network(bundle, engines):
    assert open_engine(bundle, "auto", 1).name == "openvino-fp32"
    assert open_engine(bundle, "auto", 1, engines).name == "openvino-fp32"
    assert open_engine(bundle, "auto", 1, engines, "auto").name == "openvino-fp32"


@pytest.mark.parametrize("engine", ["auto", "openvino", "onnx"])
@pytest.mark.parametrize("other", ["int8", "bf16"])
def test_the_reference_precision_passes_over_faster_forms_of_another(
    bundle, engines, store_form, verdict, opened, engine, other
):
    store_form(precision=other, verification=verdict(times_default=9.0))
    if other == "int8":
        store_form(precision="int8", backend="onnx", runtime="onnxruntime", verification=verdict(times_default=9.0))
    assert open_engine(bundle, engine, 1, engines) == "wnet.onnx"
    assert open_engine(bundle, engine, 1, engines, "fp32") == "wnet.onnx"


def test_a_chosen_precision_takes_its_own_form_even_where_another_is_faster(
    bundle, engines, store_form, verdict, opened
):
    store_form(precision="int8", verification=verdict(times_default=9.0))
    store_form(precision="bf16", verification=verdict(times_default=0.9))
    assert open_engine(bundle, "auto", 1, engines, "bf16") == "openvino-bf16"
    assert open_engine(bundle, "auto", 1, engines, "int8") == "openvino-int8"


@pytest.mark.parametrize("precision", ["int8", "bf16"])
@pytest.mark.parametrize("engine", ["auto", "openvino", "onnx"])
def test_a_chosen_precision_without_a_verified_form_is_refused_with_the_command_that_makes_it(
    bundle, engines, store_form, verdict, opened, precision, engine
):
    store_form(precision=precision, verification=verdict(reasons=("it gives other types",)))
    store_form(precision="fp32", verification=verdict(times_default=9.0))
    backend = "onnx" if engine == "onnx" else "openvino"
    with pytest.raises(EngineUnavailable, match=f"no verified {precision} form of {bundle.bundle_id}") as refused:
        open_engine(bundle, engine, 1, engines, precision)
    assert f"`engine-build build {bundle.folder} --backend {backend} --precision {precision}`" in str(refused.value)
    assert opened == []


def test_a_form_that_no_longer_fits_this_host_is_named_in_the_refusal(bundle, engines, store_form, verdict):
    store_form(precision="int8", version="2020.1", verification=verdict())
    with pytest.raises(EngineUnavailable, match=r"compiled by OpenVINO 2020\.1.*engine-build build"):
        open_engine(bundle, "auto", 1, engines, "int8")


def test_a_plan_of_another_precision_is_no_reason_to_look_for_a_gpu(bundle, engines, store_form, verdict, opened):
    store_form(backend="tensorrt", runtime="tensorrt", version="11.4", device="Fake", precision="fp16",
               verification=verdict())  # fmt: skip
    assert open_engine(bundle, "auto", 1, engines) == "wnet.onnx"


def test_a_plan_of_another_precision_does_not_serve_the_reference(bundle, engines, store_form, verdict, monkeypatch):
    from worker.engines import tensorrt

    monkeypatch.setattr(tensorrt, "missing", list)
    store_form(backend="tensorrt", runtime="tensorrt", version="11.4", device="Fake", precision="fp16",
               verification=verdict())  # fmt: skip
    with pytest.raises(EngineUnavailable, match=r"no fp32 TensorRT plan .*--backend tensorrt --precision fp32"):
        open_engine(bundle, "tensorrt", 1, engines)
    with pytest.raises(EngineUnavailable, match="not in bf16"):
        open_engine(bundle, "tensorrt", 1, engines, "bf16")


def test_the_fastest_verified_form_of_any_precision_is_taken_where_that_is_chosen(
    bundle, engines, store_form, verdict, opened
):
    store_form(precision="fp32", verification=verdict(times_default=1.2))
    store_form(precision="int8", verification=verdict(times_default=2.7))
    store_form(precision="int8", backend="onnx", runtime="onnxruntime", verification=verdict(times_default=1.5))
    assert open_engine(bundle, "auto", 1, engines, "auto") == "openvino-int8"
    assert open_engine(bundle, "onnx", 1, engines, "auto") == "onnx-int8"


@pytest.mark.parametrize(
    "changed", [{"reasons": ("it gives other types",)}, {"times_default": 0.9}], ids=["differs", "slower"]
)
def test_a_form_that_differs_or_is_slower_is_not_taken(bundle, engines, store_form, verdict, opened, changed):
    store_form(verification=verdict(**changed))
    store_form(precision="bf16")  # and one that nobody verified
    assert open_engine(bundle, "auto", 1, engines, "auto") == "wnet.onnx"


def test_a_form_for_another_processor_or_openvino_or_with_other_bytes_is_passed_over(
    bundle, engines, store_form, verdict
):
    store_form(precision="int8", device="abacus", verification=verdict())
    store_form(precision="bf16", version="2020.1", verification=verdict())
    damaged = store_form(precision="fp32", name="network.xml", verification=verdict())
    (damaged.folder / "network.xml").write_bytes(b"rust")
    assert open_engine(bundle, "auto", 1, engines, "auto").name == "openvino-fp32"


def test_a_compiled_form_is_run(bundle, make_form, verdict, engines):
    import shutil

    from worker.engines.forms import StoredForm, forms_folder, rewrite_verification

    stored = make_form("openvino", "fp32")
    target = forms_folder(engines, bundle) / stored.form.place
    shutil.copytree(stored.folder, target)
    rewrite_verification(StoredForm(target, stored.form), verdict())
    assert open_engine(bundle, "auto", 1, engines).name == "openvino-fp32"


def test_a_plan_without_a_gpu_is_said_and_the_cpu_runs(bundle, engines, store_form, opened, monkeypatch):
    from worker.engines import driver

    monkeypatch.setattr(driver, "problem", lambda *_: "there is no NVIDIA driver here")
    store_form(backend="tensorrt", runtime="tensorrt", version="11.4", device="Fake", precision="fp32")
    assert open_engine(bundle, "auto", 1, engines) == "wnet.onnx"
    with pytest.raises(EngineUnavailable, match="there is no NVIDIA driver here"):
        open_engine(bundle, "tensorrt", 1, engines)


def test_an_engine_nobody_knows_is_named(bundle):
    with pytest.raises(EngineUnavailable, match="there is no engine 'abacus': set WNET_ENGINE to auto, tensorrt"):
        open_engine(bundle, "abacus")


def test_a_precision_nobody_knows_is_named(bundle):
    with pytest.raises(EngineUnavailable, match="there is no precision 'fp8': set WNET_PRECISION to fp32, bf16"):
        open_engine(bundle, "auto", 1, None, "fp8")


def test_an_engine_whose_package_is_missing_is_one_sentence(bundle, monkeypatch):
    import sys

    monkeypatch.delitem(sys.modules, "worker.engines.onnx", raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EngineUnavailable, match=r"^ONNX Runtime cannot be loaded .*pip install"):
        open_engine(bundle, "onnx")
