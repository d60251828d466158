"""The TensorRT engine: on a fake GPU that does everything as late as it may, and on a real one where there is one."""

import re
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from worker.engines import driver
from worker.engines import tensorrt as tensorrt_engine_module
from worker.engines.face import EngineUnavailable
from worker.engines.forms import BadForm
from worker.engines.tensorrt import ANY_GPU, TensorRtEngine, mismatch, open_plan


sys.path.insert(0, str(Path(__file__).parent))

from fake_gpu import FakeGpu, FakePlan, fake_answer, fake_trt


@pytest.fixture
def gpu():
    return FakeGpu()


@pytest.fixture
def plan(store_form):
    """plan(**form): a stored plan for the fake GPU."""

    def make(content=b"plan", **changed):
        given = {"backend": "tensorrt", "precision": "fp16", "runtime": "tensorrt", "version": "11.4.0",
                 "device": "Fake 9000", "compute_capability": "9.0"}  # fmt: skip
        return store_form(content, **(given | changed))

    return make


@pytest.fixture
def made(gpu, plan):
    return TensorRtEngine(plan(), gpu, fake_trt(gpu))


def pictures(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 128, 128, 3), np.uint8)


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 16, 17, 50])
def test_every_picture_gets_its_own_answer_however_many_batches_that_takes(made, n):
    images = pictures(n)
    logits, features = made.infer(images)
    expected = fake_answer(images)
    assert np.array_equal(logits, expected[0])
    assert np.array_equal(features, expected[1])


def test_it_is_called_what_the_plan_is(made):
    assert made.name == "tensorrt-fp16"


def test_threads_each_have_streams_and_a_context_of_their_own(gpu, plan):
    loaded = FakePlan(gpu)
    engine = TensorRtEngine(plan(), gpu, fake_trt(gpu, loaded))
    wrong = []

    def ask(seed):
        for _ in range(20):
            images = pictures(11, seed)
            if not np.array_equal(engine.infer(images)[0], fake_answer(images)[0]):
                wrong.append(seed)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert 1 <= loaded.contexts <= 4


def test_nothing_more_is_taken_however_often_it_is_asked(gpu, made):
    made.infer(pictures(20))
    before = (len(gpu.live), len(gpu.things))
    for _ in range(50):
        made.infer(pictures(20))
    assert (len(gpu.live), len(gpu.things)) == before


def test_everything_is_given_back_when_it_is_closed_and_when_it_is_let_go(gpu, plan):
    for let_go in (lambda engine: engine.close(), lambda _: None):
        device = FakeGpu()
        engine = TensorRtEngine(plan(), device, fake_trt(device))
        engine.infer(pictures(20))
        assert device.live
        let_go(engine)
        del engine
        assert (device.live, device.depth.n) == (set(), 0)


def test_a_batch_that_fails_leaves_nothing_behind_and_the_next_is_answered(gpu, made):
    gpu.refuses = True
    with pytest.raises(EngineUnavailable, match="TensorRT refuses a batch of 3"):
        made.infer(pictures(3))
    assert (gpu.live, gpu.depth.n) == (set(), 0)
    gpu.refuses = False
    assert np.array_equal(made.infer(pictures(3))[0], fake_answer(pictures(3))[0])


def test_a_plan_that_does_not_load_is_one_sentence(gpu, plan):
    with pytest.raises(EngineUnavailable, match=r"^TensorRT does not load .*: no reason$"):
        TensorRtEngine(plan(b"for something else"), gpu, fake_trt(gpu))
    assert (gpu.live, gpu.depth.n) == (set(), 0)


def test_a_runtime_that_is_not_to_be_had_is_one_sentence(gpu, plan):
    loaded = fake_trt(gpu)

    def null(logger):
        logger.log(logger.ERROR, "CUDA initialization failure with error: 35\n")
        raise TypeError("pybind11::init(): factory function returned nullptr")

    loaded.module.Runtime = null
    with pytest.raises(EngineUnavailable, match=r"^TensorRT does not start: CUDA initialization failure"):
        TensorRtEngine(plan(), gpu, loaded)


def test_a_plan_with_other_bytes_takes_nothing_on_the_gpu(gpu, plan):
    stored = plan()
    (stored.folder / "network.plan").write_bytes(b"rust")
    with pytest.raises(BadForm, match="is not what its sidecar says"):
        TensorRtEngine(stored, gpu, fake_trt(gpu))
    assert gpu.pushed == 0


def test_a_plan_of_another_network_is_refused(gpu, plan):
    with pytest.raises(EngineUnavailable, match="is no plan of W-Net: its tensors are images, logits, probabilities"):
        TensorRtEngine(plan(), gpu, fake_trt(gpu, FakePlan(gpu, ("images", "logits", "probabilities"))))
    with pytest.raises(EngineUnavailable, match="its tensors are features, logits, pictures"):
        TensorRtEngine(plan(), gpu, fake_trt(gpu, FakePlan(gpu, ("pictures", "logits", "features"))))


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"version": "10.9.0"}, "was built by tensorrt 10.9.0, here is 11.4.0: build it again"),
        ({"runtime": "tensorrt_rtx"}, "was built by tensorrt_rtx, here is tensorrt"),
        ({"device": "Other 1"}, r"was built for Other 1 \(9.0\), here is Fake 9000 \(9.0\)"),
        ({"compute_capability": "8.6"}, r"was built for Fake 9000 \(8.6\), here is Fake 9000 \(9.0\)"),
    ],
)
def test_a_plan_for_something_else_is_refused_before_it_is_loaded(gpu, plan, changed, says):
    assert re.search(says, mismatch(plan(**changed), gpu, fake_trt(gpu)) or "")


def test_a_plan_made_without_a_gpu_is_for_any(gpu, plan):
    assert mismatch(plan(device=ANY_GPU, compute_capability=None), gpu, fake_trt(gpu)) is None


def test_without_a_driver_nothing_is_touched_and_the_reason_is_said(bundle, tmp_path, plan, monkeypatch):
    plan()
    monkeypatch.setattr(driver, "problem", lambda *_: "there is no NVIDIA driver here")
    monkeypatch.setattr(tensorrt_engine_module, "open_gpu", lambda: pytest.fail("reached the GPU"))
    with pytest.raises(EngineUnavailable, match="there is no NVIDIA driver here"):
        open_plan(bundle, tmp_path / "engines")


@pytest.fixture
def gpu_host(gpu, monkeypatch):
    """This host has the fake GPU and its TensorRT."""
    monkeypatch.setattr(tensorrt_engine_module, "missing", list)
    monkeypatch.setattr(tensorrt_engine_module, "open_gpu", lambda: gpu)
    monkeypatch.setattr(tensorrt_engine_module.trt, "load", lambda _: fake_trt(gpu))


def test_of_several_plans_the_fastest_that_fits_is_taken(bundle, tmp_path, plan, verdict, gpu_host):
    plan(precision="fp32", verification=verdict(images_per_second=10))
    plan(precision="fp16", verification=verdict(images_per_second=30))
    plan(precision="int8", verification=verdict(images_per_second=90), device="Other 1")
    assert open_plan(bundle, tmp_path / "engines").name == "tensorrt-fp16"


def test_a_gpu_that_fails_at_its_first_picture_is_not_used_and_holds_nothing(
    bundle, tmp_path, plan, verdict, gpu, gpu_host
):
    plan(verification=verdict())
    gpu.refuses = True
    with pytest.raises(EngineUnavailable, match="TensorRT refuses a batch of 1"):
        open_plan(bundle, tmp_path / "engines")
    assert gpu.live == set()


def test_a_plan_that_was_not_verified_or_that_differs_serves_nobody(bundle, tmp_path, plan, verdict, gpu_host):
    plan(precision="fp32")
    plan(precision="fp16", verification=verdict(reasons=("it gives other types",)))
    with pytest.raises(EngineUnavailable) as refused:
        open_plan(bundle, tmp_path / "engines")
    assert "was never verified on a GPU: engine-build verify BUNDLE" in str(refused.value)
    assert "is not used: it gives other types" in str(refused.value)


# --- on a real GPU ----------------------------------------------------------------------------------------------


def _used_bytes():
    import pycuda.driver as cuda

    free, total = cuda.mem_get_info()
    return total - free


@pytest.mark.gpu
def test_on_a_gpu_it_answers_as_the_reference_does(tensorrt_engine, bundle, images):
    from engine_build.reference import anchored_logits

    logits, _ = tensorrt_engine.infer(images)
    assert np.abs(logits - anchored_logits(bundle, images)).max() <= 1e-2


@pytest.mark.gpu
def test_on_a_gpu_ten_thousand_batches_leak_nothing(tensorrt_engine, images):
    tensorrt_engine.infer(images)
    with tensorrt_engine._gpu.current():
        before = _used_bytes()
    for _ in range(10_000):
        tensorrt_engine.infer(images[:8])
    with tensorrt_engine._gpu.current():
        assert _used_bytes() - before < 16 * 2**20


@pytest.mark.gpu
def test_on_a_gpu_two_threads_get_their_own_answers(tensorrt_engine, images):
    alone = [tensorrt_engine.infer(images[i : i + 20])[0] for i in (0, 30)]
    wrong = []

    def ask(i, expected):
        answers = (tensorrt_engine.infer(images[i : i + 20])[0] for _ in range(200))
        wrong.extend(i for answer in answers if not np.array_equal(answer, expected))

    threads = [threading.Thread(target=ask, args=pair) for pair in zip((0, 30), alone, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.gpu
def test_on_a_gpu_no_context_is_left_current(tensorrt_engine, images):
    import pycuda.driver as cuda

    tensorrt_engine.infer(images)
    assert cuda.Context.get_current() is None
