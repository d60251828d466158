"""`auto` takes a plan where it can, else the fastest form that was verified here, else the bundle's own network."""

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
    assert open_engine(bundle, "auto", 1).name.startswith("openvino-")
    assert open_engine(bundle, "auto", 1, engines).name.startswith("openvino-")


def test_the_fastest_verified_form_is_taken(bundle, engines, store_form, verdict, opened):
    store_form(precision="fp32", verification=verdict(times_default=1.2))
    store_form(precision="int8", verification=verdict(times_default=2.7))
    store_form(precision="int8", backend="onnx", runtime="onnxruntime", verification=verdict(times_default=1.5))
    assert open_engine(bundle, "auto", 1, engines) == "openvino-int8"
    assert open_engine(bundle, "onnx", 1, engines) == "onnx-int8"


@pytest.mark.parametrize(
    "changed", [{"reasons": ("it gives other types",)}, {"times_default": 0.9}], ids=["differs", "slower"]
)
def test_a_form_that_differs_or_is_slower_is_not_taken(bundle, engines, store_form, verdict, opened, changed):
    store_form(verification=verdict(**changed))
    store_form(precision="bf16")  # and one that nobody verified
    assert open_engine(bundle, "auto", 1, engines) == "wnet.onnx"


def test_a_form_for_another_processor_or_openvino_or_with_other_bytes_is_passed_over(
    bundle, engines, store_form, verdict
):
    store_form(precision="int8", device="abacus", verification=verdict())
    store_form(precision="bf16", version="2020.1", verification=verdict())
    damaged = store_form(precision="fp32", name="network.xml", verification=verdict())
    (damaged.folder / "network.xml").write_bytes(b"rust")
    assert open_engine(bundle, "auto", 1, engines).name in {"openvino-fp32", "openvino-bf16"}


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
    store_form(backend="tensorrt", runtime="tensorrt", version="11.4", device="Fake")
    assert open_engine(bundle, "auto", 1, engines) == "wnet.onnx"
    with pytest.raises(EngineUnavailable, match="there is no NVIDIA driver here"):
        open_engine(bundle, "tensorrt", 1, engines)


def test_an_engine_nobody_knows_is_named(bundle):
    with pytest.raises(EngineUnavailable, match="there is no engine 'abacus': set WNET_ENGINE to auto, tensorrt"):
        open_engine(bundle, "abacus")


def test_an_engine_whose_package_is_missing_is_one_sentence(bundle, monkeypatch):
    import sys

    monkeypatch.delitem(sys.modules, "worker.engines.onnx", raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EngineUnavailable, match=r"^ONNX Runtime cannot be loaded .*pip install"):
        open_engine(bundle, "onnx")
