"""What `worker doctor` finds of engines: compiled forms, GPUs, and what runs instead."""

from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

import numpy as np
import pytest

from smear.bundle import NETWORK
from worker import doctor
from worker.engines import driver, tensorrt
from worker.engines.face import EngineUnavailable
from worker.engines.forms import SIDECAR, Form, Verification, file_sha256, processor, write


VERDICT = Verification(
    images=595, data="holdout", largest_difference=0.01, type_agreement=1, class_average=0.99,
    reference_class_average=0.99, images_per_second=1000, times_default=2.7, reasons=(),
)  # fmt: skip
DIFFERS = VERDICT.model_copy(update={"reasons": ("it gives other types",)})
PLAN = {"backend": "tensorrt", "precision": "fp32", "runtime": "tensorrt", "version": "11.4.0", "device": "Fake 9000",
        "compute_capability": "9.0", "verification": VERDICT}  # fmt: skip


@pytest.fixture
def store_form(bundle, settings):
    """store_form(**form): a form among those that the settings name."""

    def store(**changed):
        def fill(folder):
            (folder / "network.plan").write_bytes(b"plan")
            given = {"backend": "openvino", "precision": "int8", "runtime": "openvino", "version": version("openvino"),
                     "device": processor()} | changed  # fmt: skip
            return Form(
                bundle=bundle.bundle_id, network_sha256=bundle.manifest.files[NETWORK], built=datetime.now(UTC),
                files={path.name: file_sha256(path) for path in folder.iterdir()}, **given,
            )  # fmt: skip

        return write(settings.engines_folder, bundle, fill)

    return store


# --- compiled forms ---------------------------------------------------------------------------------------------


def test_no_compiled_form_is_nothing_wrong_and_how_to_make_one_is_said(settings, bundle):
    found = doctor._compiled_forms(settings.model_copy(update={"precision": "auto"}))
    assert (found.verdict, found.name) == ("good", "compiled forms")
    assert f"none of {bundle.bundle_id} yet: `engine-build build BUNDLE` makes them" in found.found


def test_the_reference_precision_needs_no_compiled_form(settings, bundle):
    found = doctor._compiled_forms(settings)
    assert (found.verdict, found.found) == ("good", f"none of {bundle.bundle_id}: WNET_PRECISION=fp32 needs none")


def test_a_form_of_another_precision_is_not_used_and_the_setting_is_named(settings, store_form):
    store_form(precision="int8", verification=VERDICT)
    assert "openvino-int8 (not used: WNET_PRECISION is fp32)" in doctor._compiled_forms(settings).found


def test_each_form_is_named_with_whether_it_serves_and_why_not(settings, store_form):
    store_form(precision="int8", verification=VERDICT)
    store_form(precision="bf16")
    store_form(precision="fp32", verification=DIFFERS)
    found = doctor._compiled_forms(settings.model_copy(update={"precision": "auto"}))
    assert found.verdict == "good"
    assert "openvino-int8 (verified, 2.7 times as fast as without it)" in found.found
    assert "openvino-bf16 (not verified, so not used)" in found.found
    assert "openvino-fp32 (not used: it gives other types)" in found.found


def test_a_form_for_another_processor_or_version_is_told_and_nothing_wrong(settings, store_form):
    store_form(device="abacus", verification=VERDICT)
    store_form(version="2020.1", verification=VERDICT)
    found = doctor._compiled_forms(settings.model_copy(update={"precision": "int8"}))
    assert found.verdict == "good"  # other hosts may share this folder
    assert "a processor with abacus, this one has" in found.found
    assert "compiled by OpenVINO 2020.1, here is" in found.found


@pytest.mark.parametrize("content", [b"", b"{", b'{"format": 2}'])
def test_a_sidecar_that_cannot_be_read_is_minded_and_the_others_are_told(settings, store_form, content):
    (store_form().folder / SIDECAR).write_bytes(content)
    store_form(precision="fp32", verification=VERDICT)
    found = doctor._compiled_forms(settings)
    assert found.verdict == "mind"
    assert "is no sidecar that this version knows" in found.found
    assert "openvino-fp32 (verified" in found.found
    assert found.found.isprintable()


def test_a_form_whose_file_is_truncated_is_minded(settings, store_form):
    (store_form(verification=VERDICT).folder / "network.plan").write_bytes(b"pla")
    found = doctor._compiled_forms(settings)
    assert found.verdict == "mind"
    assert "is not what its sidecar says (SHA-256 differs): build it again" in found.found
    assert "engine-build build BUNDLE" in found.cure


# --- the engine that runs ---------------------------------------------------------------------------------------


def test_the_engine_that_runs_is_named(settings, bundle):
    found = doctor._bundle_and_engine(settings)
    assert found.verdict == "good"
    assert found.found.startswith(f"{bundle.bundle_id} runs on openvino-")


@dataclass
class FakeEngine:
    name: str
    answer: object

    def infer(self, images):
        if isinstance(self.answer, Exception):
            raise self.answer
        return np.full((len(images), 5), self.answer, np.float32), None


@pytest.mark.parametrize(
    ("answer", "says"),
    [(EngineUnavailable("the GPU failed: out of memory"), "the GPU failed: out of memory"), (np.nan, "not numbers")],
)
def test_an_engine_that_fails_at_its_first_picture_is_a_finding_and_no_traceback(settings, monkeypatch, answer, says):
    monkeypatch.setattr(doctor, "open_engine", lambda *_: FakeEngine("fake-fp32", answer))
    found = doctor._bundle_and_engine(settings)
    assert found.verdict == "bad"
    assert says in found.found
    assert found.cure


# --- the GPU ----------------------------------------------------------------------------------------------------


@pytest.fixture
def no_driver(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "_NVIDIA", tmp_path / "no such driver")
    monkeypatch.setattr(driver, "problem", lambda *_: "there is no NVIDIA driver here (libcuda.so.1 is not found)")


@pytest.fixture
def nvidia(monkeypatch, tmp_path):
    """A host with a driver and a GPU, of which PyCUDA and TensorRT are told."""
    (tmp_path / "version").touch()
    monkeypatch.setattr(doctor, "_NVIDIA", tmp_path / "version")
    monkeypatch.setattr(driver, "problem", lambda *_: None)
    monkeypatch.setattr(tensorrt.trt, "present", lambda _: True)

    @dataclass
    class FakeGpu:
        name: str = "Fake 9000"
        compute_capability: str = "9.0"

    monkeypatch.setattr(tensorrt, "open_gpu", FakeGpu)
    monkeypatch.setattr(tensorrt.trt, "load", lambda _: tensorrt.Trt("tensorrt", None, "11.4.0"))
    monkeypatch.setattr(tensorrt, "TensorRtEngine", lambda stored, *_: FakeEngine(stored.form.name, 0))


def test_no_driver_is_nothing_wrong_where_the_cpu_is_meant(settings, no_driver):
    found = doctor._gpu(settings)
    assert (found.verdict, found.found) == ("good", "no NVIDIA driver here: the CPU is used")


def test_no_driver_is_wrong_where_tensorrt_is_demanded(settings, no_driver, monkeypatch):
    found = doctor._gpu(settings.model_copy(update={"engine": "tensorrt"}))
    assert found.verdict == "bad"
    assert "there is no NVIDIA driver here (libcuda.so.1 is not found)" in found.found
    assert "nothing runs, for WNET_ENGINE is tensorrt" in found.found
    assert "On a GPU" in found.cure


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ({"pycuda"}, "PyCUDA is not installed: pip install '.[gpu]'"),
        ({"tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings"}, "TensorRT is not installed: pip install '.[gpu]'"),
    ],
)
def test_what_a_gpu_host_lacks_is_named_and_what_runs_instead(settings, nvidia, monkeypatch, missing, says):
    monkeypatch.setattr(tensorrt.trt, "present", lambda module: module not in missing)
    found = doctor._gpu(settings)
    assert found.verdict == "mind"
    assert found.found == f"{says}; the CPU is used"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (None, "there is no fp32 TensorRT plan of"),
        ({"device": "Other 1"}, "was built for Other 1 (9.0), here is Fake 9000 (9.0): build it again"),
        ({"version": "10.9.0"}, "was built by tensorrt 10.9.0, here is 11.4.0: build it again"),
        ({"runtime": "tensorrt_rtx"}, "was built by tensorrt_rtx, here is tensorrt"),
        ({"verification": None}, "was never verified on a GPU: engine-build verify BUNDLE"),
        ({"verification": DIFFERS}, "is not used: it gives other types"),
    ],
    ids=["no plan", "another GPU", "another version", "another flavour", "not verified", "differs"],
)
def test_why_no_plan_is_used_is_said_with_what_runs_instead(settings, nvidia, store_form, changed, says):
    if changed is not None:
        store_form(**(PLAN | changed))
    found = doctor._gpu(settings)
    assert found.verdict == "mind"
    assert says in found.found
    assert found.found.endswith("; the CPU is used")
    assert found.cure


def test_a_plan_that_fits_runs(settings, nvidia, store_form, bundle):
    store_form(**PLAN)
    found = doctor._gpu(settings)
    assert (found.verdict, found.found) == ("good", f"tensorrt-fp32 runs {bundle.bundle_id}")


def test_with_a_bundle_that_cannot_be_used_neither_is_looked_at(settings, nvidia, monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "_bundle_folder", lambda _: tmp_path / "nowhere")
    for look in (doctor._gpu, doctor._compiled_forms):
        assert look(settings).found == "not looked at: the bundle has a finding of its own"
    assert doctor._bundle_and_engine(settings).verdict == "bad"
