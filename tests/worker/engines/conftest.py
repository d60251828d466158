"""Compiled forms for the engines' tests, and a GPU that is none."""

import importlib
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from smear.bundle import NETWORK
from smear.geometry import PROFILES, prepare
from worker.engines.forms import Form, StoredForm, Verification, file_sha256, processor, write


@pytest.fixture(scope="session")
def images(sample_pictures):
    return np.stack([prepare(p.read_bytes(), PROFILES["di60"]) for p in sample_pictures[:69]])


@pytest.fixture(scope="session")
def make_form(bundle, images, tmp_path_factory) -> Callable[[str, str], StoredForm]:
    """make_form(backend, precision): a compiled form of the shipped bundle, calibrated on a few samples."""
    from engine_build.calibration import ranges
    from engine_build.openvino_form import compile_form, has_nncf
    from engine_build.precision import at_precision

    made: dict[tuple[str, str], StoredForm] = {}

    def make(backend, precision):
        if (backend, precision) not in made:
            if (backend, precision) == ("openvino", "int8") and not has_nncf():
                pytest.skip("needs NNCF: pip install '.[engines]'")

            def fill(folder):
                if backend == "openvino":
                    compile_form(bundle, precision, folder, images[:24])
                else:
                    import onnx

                    model = at_precision(onnx.load(bundle.network), precision, ranges(bundle, images[:24]))
                    (folder / "network.onnx").write_bytes(model.SerializeToString())
                runtime = {"onnx": "onnxruntime"}.get(backend, backend)
                return a_form(bundle, folder, backend=backend, precision=precision, runtime=runtime)

            made[backend, precision] = write(tmp_path_factory.mktemp("engines"), bundle, fill)
        return made[backend, precision]

    return make


def a_form(bundle, folder, **changed):
    given = {
        "bundle": bundle.bundle_id,
        "network_sha256": bundle.manifest.files[NETWORK],
        "backend": "openvino",
        "precision": "int8",
        "runtime": "openvino",
        "device": processor(),
        "files": {path.name: file_sha256(path) for path in folder.iterdir()},
        "built": datetime.now(UTC),
    } | changed
    if "version" not in given:
        given["version"] = version(given["runtime"])
    return Form(**given)


def a_verification(**changed):
    given = {
        "images": 595,
        "data": "holdout",
        "largest_difference": 0.01,
        "type_agreement": 1.0,
        "class_average": 0.99,
        "reference_class_average": 0.99,
        "images_per_second": 1000.0,
        "times_default": 2.0,
        "reasons": (),
    } | changed
    return Verification(**given)


@pytest.fixture
def store_form(bundle, tmp_path):
    """store_form(content, **form): a form of one file among the test's compiled forms."""

    def store(content=b"plan", name="network.plan", **changed):
        def fill(folder):
            (folder / name).write_bytes(content)
            return a_form(bundle, folder, **changed)

        return write(tmp_path / "engines", bundle, fill)

    return store


@pytest.fixture
def verdict():
    return a_verification


FAKE_HOST = Path(__file__).parent / "fake_host"


@pytest.fixture(scope="session")
def fake_tensorrt_engine(bundle, tmp_path_factory):
    """The TensorRT engine through our own adapters, over a PyCUDA and a TensorRT that are none (fake_host)."""
    from worker.engines.gpu import _PycudaGpu
    from worker.engines.tensorrt import TensorRtEngine
    from worker.engines.trt import Trt

    names = ("pycuda", "pycuda.driver", "tensorrt")
    kept = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(FAKE_HOST)
        cuda, module = importlib.import_module("pycuda.driver"), importlib.import_module("tensorrt")
    for name in names:
        del sys.modules[name]
    sys.modules.update(kept)
    gpu = _PycudaGpu(cuda, 0)

    def fill(folder):
        (folder / "network.plan").write_bytes(bundle.network.read_bytes())
        return a_form(
            bundle, folder, backend="tensorrt", precision="fp32", runtime="tensorrt", version=module.__version__,
            device=gpu.name, compute_capability=gpu.compute_capability,
        )  # fmt: skip

    stored = write(tmp_path_factory.mktemp("fake-plans"), bundle, fill)
    yield TensorRtEngine(stored, gpu, Trt("tensorrt", module, module.__version__))
    assert len(cuda.memory) % 6 == 0  # whole lanes: two slots of three buffers


@pytest.fixture(scope="session")
def make_plan(bundle, images, tmp_path_factory) -> Callable[[str], StoredForm]:
    """make_plan(precision): a plan built on the GPU that is here; whoever asks for it is marked `gpu`."""
    from worker.engines.tensorrt import missing

    lacking = missing()
    if lacking:
        (pytest.fail if os.environ.get("REQUIRE_GPU") == "1" else pytest.skip)("; ".join(lacking))
    import onnx

    from engine_build.calibration import ranges
    from engine_build.plan import compile_plan
    from engine_build.precision import at_precision
    from worker.engines.gpu import open_gpu

    gpu, made = open_gpu(), dict[str, StoredForm]()

    def make(precision):
        def fill(folder):
            seen = ranges(bundle, images[:24]) if precision == "int8" else None
            loaded = compile_plan(at_precision(onnx.load(bundle.network), precision, seen), folder)
            return a_form(
                bundle, folder, backend="tensorrt", precision=precision, runtime=loaded.flavour,
                version=loaded.version, device=gpu.name, compute_capability=gpu.compute_capability,
            )  # fmt: skip

        if precision not in made:
            made[precision] = write(tmp_path_factory.mktemp("plans"), bundle, fill)
        return made[precision]

    return make


@pytest.fixture(scope="session")
def tensorrt_engine(make_plan):
    """TensorRT on a real GPU, float32."""
    from worker.engines.tensorrt import open_stored_plan

    return open_stored_plan(make_plan("fp32"))
