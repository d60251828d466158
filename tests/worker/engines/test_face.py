"""One face: every engine passes the same tests."""

import threading

import numpy as np
import pytest

from worker.engines.face import FEATURES, EngineUnavailable
from worker.engines.openvino import LARGEST_BATCH, OpenVinoEngine
from worker.engines.select import open_engine, open_form


#: How far an answer may move with the pictures beside it.
TOLERANCE = {"fp32": 1e-4, "bf16": 0.1, "fp16": 0.02, "int8": 1e-4}
#: A GPU may take another kernel for another batch; what then differs in the last bit may be rounded to another int8.
TENSORRT_TOLERANCE = {"fp32": 1e-3, "fp16": 0.02, "int8": 0.1}


@pytest.fixture(
    scope="session",
    params=[
        "openvino",
        "openvino-fp32",
        "openvino-bf16",
        "openvino-int8",
        "onnx",
        "onnx-fp32",
        "onnx-int8",
        "tensorrt-fake",
        pytest.param("tensorrt-fp32", marks=pytest.mark.gpu),
        pytest.param("tensorrt-fp16", marks=pytest.mark.gpu),
        pytest.param("tensorrt-int8", marks=pytest.mark.gpu),
    ],
)
def engine(request, bundle, make_form):
    """Every engine that runs here, through the one face."""
    if request.param == "openvino":
        return OpenVinoEngine(bundle.network, 2)
    if request.param == "openvino-bf16":  # computed in float32, and called so, where the processor cannot
        return OpenVinoEngine(bundle.network, 2, "bf16")
    if request.param == "tensorrt-fake":
        return request.getfixturevalue("fake_tensorrt_engine")
    backend, _, precision = request.param.partition("-")
    if backend == "tensorrt":
        from worker.engines.tensorrt import open_stored_plan

        return open_stored_plan(request.getfixturevalue("make_plan")(precision))
    if backend == "onnx":
        pytest.importorskip("onnxruntime")
    if not precision:
        return open_engine(bundle, backend, 2)
    return open_form(make_form(backend, precision), 2)


@pytest.fixture
def tolerance(engine):
    backend, _, precision = engine.name.partition("-")
    return (TENSORRT_TOLERANCE if backend == "tensorrt" else TOLERANCE)[precision]


def test_the_answer_has_the_promised_shape_and_type_and_holds_numbers(engine, images):
    logits, features = engine.infer(images)
    assert (logits.shape, logits.dtype) == ((len(images), 5), np.float32)
    assert (features.shape, features.dtype) == ((len(images), FEATURES), np.float32)
    assert np.isfinite(logits).all()
    assert np.isfinite(features).all()
    assert engine.name.partition("-")[0] in {"openvino", "onnx", "tensorrt"}


def test_no_pictures_are_answered_with_nothing(engine):
    logits, features = engine.infer(np.empty((0, 128, 128, 3), np.uint8))
    assert (logits.shape, features.shape) == ((0, 5), (0, FEATURES))


@pytest.mark.parametrize("n", [1, LARGEST_BATCH - 1, LARGEST_BATCH, LARGEST_BATCH + 1, 2 * LARGEST_BATCH + 5])
def test_an_answer_does_not_depend_on_the_company(engine, images, n, tolerance):
    whole, whole_features = engine.infer(images)
    logits, features = engine.infer(images[:n])
    assert np.abs(logits - whole[:n]).max() <= tolerance
    assert np.abs(features - whole_features[:n]).max() <= tolerance * 10


def test_the_same_question_gets_the_same_answer(engine, images):
    first = engine.infer(images)
    for _ in range(2):
        again = engine.infer(images)
        assert np.array_equal(first[0], again[0])
        assert np.array_equal(first[1], again[1])


def test_a_batch_beyond_any_profile_is_answered_whole(engine, images, tolerance):
    many = np.concatenate([images] * 4)
    assert len(many) > 256
    logits, features = engine.infer(many)
    once, _ = engine.infer(images)
    assert np.isfinite(features).all()
    assert np.abs(logits - np.concatenate([once] * 4)).max() <= tolerance


def test_an_answer_follows_its_picture_whatever_the_order(engine, images, tolerance):
    order = np.random.default_rng(0).permutation(len(images))
    logits, _ = engine.infer(images)
    shuffled, _ = engine.infer(np.ascontiguousarray(images[order]))
    assert np.abs(shuffled - logits[order]).max() <= tolerance


def test_several_threads_may_ask_at_once_and_each_gets_its_own_answer(engine, images, tolerance):
    asked = [np.ascontiguousarray(images[n : n + 9]) for n in range(6)]
    alone = [engine.infer(batch)[0] for batch in asked]
    answers = [None] * len(asked)

    def ask(n):
        answers[n] = engine.infer(asked[n])[0]

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(len(asked))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.allclose(answer, one, atol=tolerance) for answer, one in zip(answers, alone, strict=True))


def test_black_white_and_flat_pictures_give_numbers_too(engine):
    flat = np.stack([np.full((128, 128, 3), value, np.uint8) for value in (0, 1, 128, 255)])
    logits, features = engine.infer(flat)
    assert np.isfinite(logits).all()
    assert np.isfinite(features).all()


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (np.zeros((1, 128, 128, 3), np.float32), TypeError),
        (np.zeros((1, 128, 128, 3), np.int8), TypeError),
        ([[1, 2, 3]], TypeError),
        (None, TypeError),
        (np.zeros((128, 128, 3), np.uint8), ValueError),
        (np.zeros((1, 3, 128, 128), np.uint8), ValueError),
        (np.zeros((1, 127, 128, 3), np.uint8), ValueError),
        (np.zeros((1, 128, 128, 4), np.uint8), ValueError),
        (np.zeros((2, 128, 128, 3), np.uint8)[:, ::-1], ValueError),
    ],
)
def test_it_is_strict_at_the_door(engine, wrong, error):
    with pytest.raises(error, match="an engine takes"):
        engine.infer(wrong)


def test_float32_is_asked_for_on_a_processor_that_has_bfloat16_too(bundle, monkeypatch):
    from worker.engines import openvino

    asked = []

    class Core(openvino.ov.Core):
        def get_property(self, device, name):
            return ["FP32", "BF16"] if name == "OPTIMIZATION_CAPABILITIES" else super().get_property(device, name)

        def compile_model(self, model, device, hints):
            asked.append(hints["INFERENCE_PRECISION_HINT"])
            return super().compile_model(model, device, hints)

    monkeypatch.setattr(openvino.ov, "Core", Core)
    assert OpenVinoEngine(bundle.network, 1).name == "openvino-fp32"
    assert asked == ["f32"]


def test_an_engine_is_called_what_it_computes_in(bundle):
    from worker.engines.openvino import native_precision

    expected = "openvino-bf16" if native_precision() == "bf16" else "openvino-fp32"
    assert OpenVinoEngine(bundle.network, 1, "bf16").name == expected


def test_a_file_that_is_no_network_is_one_sentence(tmp_path):
    (tmp_path / "wnet.onnx").write_bytes(b"rubbish")
    with pytest.raises(EngineUnavailable, match=r"^OpenVINO cannot compile wnet\.onnx: ") as refused:
        OpenVinoEngine(tmp_path / "wnet.onnx", 1)
    assert len(str(refused.value).splitlines()) == 1


def test_onnxruntime_on_the_bundles_own_file_gives_the_same_answers(bundle, engine, images):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(bundle.network, providers=["CPUExecutionProvider"])
    logits, _ = session.run(["logits", "features"], {"images": images})
    ours, _ = engine.infer(images)
    span = logits.max() - logits.min()
    assert np.abs(ours - logits).max() <= span * {"fp32": 3e-4, "int8": 0.15}.get(engine.name.partition("-")[2], 0.02)
    assert (ours.argmax(axis=1) == logits.argmax(axis=1)).mean() >= (1 if engine.name.endswith("fp32") else 0.98)
