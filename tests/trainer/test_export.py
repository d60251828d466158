import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from sklearn.preprocessing import scale

from smear.bundle import BadBundle, Bundle
from smear.decision import softmax
from smear.labelled import Pixels
from trainer import export, reference
from trainer.wnet import PARAMETERS, WNet


def test_the_file_answers_as_torch_with_its_weights_rounded_to_float16(shipped_bundle: Bundle, holdout: Pixels):
    images = holdout.images[::12]
    network = WNet().eval()
    network.load_state_dict(export.weights_from_bundle(shipped_bundle))
    with torch.no_grad():
        logits, features = network(torch.from_numpy(images))
    got_logits, got_features = reference.answers(shipped_bundle.network, images)
    # Logits reach 14, so float32 sums in another order leave some 1e-4 of them, and nothing of the probabilities.
    np.testing.assert_allclose(got_logits, logits, atol=1e-4, rtol=1e-5)
    np.testing.assert_allclose(got_features, features, atol=1e-4, rtol=1e-5)
    np.testing.assert_allclose(softmax(got_logits), softmax(logits.numpy()), atol=1e-5)


def test_the_file_standardises_as_sklearns_scale(shipped_bundle: Bundle, holdout: Pixels):
    model = onnx.load(shipped_bundle.network)
    model.graph.output.append(helper.make_tensor_value_info("maps0", TensorProto.FLOAT, ["n", 3, 128, 128]))
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    images = holdout.images[:8]
    (ours,) = session.run(["maps0"], {"images": images})
    for image, got in zip(images, ours, strict=True):
        wanted = scale(image.astype(np.float64).ravel()).reshape(image.shape)
        np.testing.assert_allclose(got.transpose(1, 2, 0), wanted, atol=1e-5)


def test_the_file_has_the_promised_inputs_outputs_and_float16_weights(shipped_bundle: Bundle):
    model = onnx.load(shipped_bundle.network)
    onnx.checker.check_model(model, full_check=True)
    shapes = {
        v.name: ([d.dim_value or d.dim_param for d in v.type.tensor_type.shape.dim], v.type.tensor_type.elem_type)
        for v in [*model.graph.input, *model.graph.output]
    }
    assert shapes == {
        "images": (["n", 128, 128, 3], TensorProto.UINT8),
        "logits": (["n", 5], TensorProto.FLOAT),
        "features": (["n", 1024], TensorProto.FLOAT),
    }
    weights = [item for item in model.graph.initializer if item.data_type == TensorProto.FLOAT16]
    assert {item.name for item in weights} == set(WNet().state_dict())
    assert sum(int(np.prod(item.dims)) for item in weights) == PARAMETERS


def test_weights_survive_the_file_exactly_and_the_same_weights_give_the_same_bytes(shipped_bundle: Bundle):
    weights = export.weights_from_bundle(shipped_bundle)
    assert export.network_bytes(weights) == shipped_bundle.network.read_bytes()
    for name, value in export.rounded(weights).items():
        assert torch.equal(value, weights[name])


def test_a_weight_too_large_for_float16_is_refused():
    weights = WNet().state_dict()
    weights["dense2.bias"][3] = 1e6
    with pytest.raises(OverflowError, match=r"dense2\.bias"):
        export.network_bytes(weights)


def test_a_foreign_network_is_no_start_for_training(tmp_path, shipped_bundle: Bundle):
    model = onnx.load(shipped_bundle.network)
    del model.graph.initializer[0]
    (tmp_path / "wnet.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BadBundle, match=r"holds no conv1\.weight"):
        export.weights_from_bundle(Bundle(tmp_path, shipped_bundle.manifest))
