"""The graph at another precision: the same inputs and outputs, and answers as close as the precision allows."""

import numpy as np
import onnx
import pytest

from engine_build.calibration import ranges
from engine_build.precision import LAYERS, at_precision
from engine_build.reference import reference_logits
from smear import bundle as bundles
from smear.bundle import BadBundle
from smear.geometry import PROFILES, prepare
from smear.shipped import shipped_bundle


@pytest.fixture(scope="module")
def bundle():
    return bundles.load(shipped_bundle())


@pytest.fixture(scope="module")
def images(sample_pictures):
    return np.stack([prepare(p.read_bytes(), PROFILES["di60"]) for p in sample_pictures[:4]])


@pytest.fixture(scope="module")
def seen(bundle, images):
    return ranges(bundle, images)


def answered(model, images):
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"images": images})[0]


def test_the_ranges_are_those_of_the_tensors_that_layers_read(seen):
    assert set(seen) == set(LAYERS.values())
    assert all(0.1 < largest < 100 for largest in seen.values())


@pytest.mark.parametrize(
    ("precision", "off", "megabytes"), [("fp32", 1e-5, 33.6), ("fp16", 0.02, 33.6), ("int8", 0.5, 16.8)]
)
def test_the_answers_stay_close_to_the_reference(bundle, images, seen, precision, off, megabytes):
    made = at_precision(onnx.load(bundle.network), precision, seen)
    onnx.checker.check_model(made, full_check=True)
    exact, ours = reference_logits(bundle, images[:2]), answered(made, images[:2])
    assert np.abs(exact - ours).max() <= off
    assert (exact.argmax(axis=1) == ours.argmax(axis=1)).all()
    assert len(made.SerializeToString()) / 1e6 == pytest.approx(megabytes, abs=0.2)


def test_inputs_and_outputs_are_the_same_and_bytes_are_cast_before_all_else(bundle, seen):
    original = onnx.load(bundle.network)
    for precision in ("fp32", "fp16", "int8"):
        made = at_precision(original, precision, seen)
        assert (made.graph.input, made.graph.output) == (original.graph.input, original.graph.output)
        (first,) = [node for node in made.graph.node if "images" in node.input]
        assert first.op_type == "Cast"


def test_standardisation_and_the_last_layer_stay_float32(bundle, seen):
    for precision in ("fp16", "int8"):
        made = onnx.shape_inference.infer_shapes(at_precision(onnx.load(bundle.network), precision, seen))
        types = {value.name: value.type.tensor_type.elem_type for value in made.graph.value_info}
        float32 = ("values", "centred", "variance", "divisor", "maps0", "dense2.weight.float")
        assert {types[name] for name in float32} == {onnx.TensorProto.FLOAT}
        (last,) = [node for node in made.graph.node if node.output[0] == "logits"]
        assert list(last.input) == ["features", "dense2.weight.float", "dense2.bias.float"]


def test_layers_that_are_kept_are_not_quantised(bundle, seen):
    made = at_precision(onnx.load(bundle.network), "int8", seen, kept=("conv1",))
    quantised = [node.input[0] for node in made.graph.node if node.op_type == "QuantizeLinear"]
    assert quantised == ["maps1", "maps2", "flattened"]


def test_a_graph_of_somebody_else_is_refused(bundle):
    model = onnx.load(bundle.network)
    for node in model.graph.node:
        node.output[:] = ["other" if name == "conv2" else name for name in node.output]
    with pytest.raises(BadBundle, match="has no tensor conv2"):
        at_precision(model, "fp16")


def test_bfloat16_is_no_onnx_graph_of_ours(bundle):
    with pytest.raises(ValueError, match="not in bf16"):
        at_precision(onnx.load(bundle.network), "bf16")
