"""The network as ONNX, built node by node: one file that is reference, checkpoint and what workers serve.

images uint8 (N, 128, 128, 3) -> logits (N, 5) float32, features (N, 1024) float32. Weights are stored as float16 under
their PyTorch names and cast to float32 in the graph; all arithmetic is float32.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor

from smear.bundle import BadBundle, Bundle
from smear.cells import CELL_TYPES
from smear.geometry import SIDE_PX
from trainer.wnet import FEATURES, SMALLEST_DEVIATION, WNet


OPSET: Final = 18
IR_VERSION: Final = 10
_BATCH: Final = "n"


def rounded(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights as the file keeps them: through float16 and back; OverflowError where one does not fit."""
    out = {name: value.half().float() for name, value in weights.items()}
    for name, value in out.items():
        if not torch.isfinite(value).all():
            raise OverflowError(f"{name} holds a weight that float16 cannot")
    return out


def network_bytes(weights: Mapping[str, Tensor]) -> bytes:
    """The checked ONNX file of a W-Net state dict; the same weights give the same bytes."""
    rounded(weights)
    initialisers = [numpy_helper.from_array(_contiguous(value), name) for name, value in weights.items()]
    initialisers += [
        numpy_helper.from_array(np.array([1, 2, 3], np.int64), "all_pixels"),
        numpy_helper.from_array(np.array([3], np.int64), "rows"),
        numpy_helper.from_array(np.array([1, 2], np.int64), "all_rows"),
        numpy_helper.from_array(np.array([0, -1], np.int64), "flat"),
        numpy_helper.from_array(np.array(SMALLEST_DEVIATION, np.float32), "smallest_deviation"),
    ]
    casts = [helper.make_node("Cast", [name], [f"{name}.float"], to=TensorProto.FLOAT) for name in weights]
    graph = helper.make_graph(
        casts + _standardisation() + _convolutions() + _dense_layers(),
        "wnet",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, [_BATCH, SIDE_PX, SIDE_PX, 3])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, [_BATCH, len(CELL_TYPES)]),
            helper.make_tensor_value_info("features", TensorProto.FLOAT, [_BATCH, FEATURES]),
        ],
        initialisers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def weights_from_bundle(bundle: Bundle) -> dict[str, Tensor]:
    """The state dict, float32, that a bundle's ONNX file holds; BadBundle where it is no W-Net of ours."""
    try:
        model: ModelProto = onnx.load(bundle.network)
    except Exception as error:  # whatever protobuf makes of a file that is none of its own
        raise BadBundle(f"{bundle.folder}: its network is no ONNX file") from error
    stored = {item.name: item for item in model.graph.initializer}
    weights = {}
    with torch.device("meta"):  # shapes alone: no weights are drawn
        wanted = WNet().state_dict()
    for name, expected in wanted.items():
        if name not in stored or tuple(stored[name].dims) != tuple(expected.shape):
            raise BadBundle(f"{bundle.folder}: its network holds no {name} of shape {tuple(expected.shape)}")
        weights[name] = torch.from_numpy(numpy_helper.to_array(stored[name]).astype(np.float32))
    return weights


def _contiguous(value: Tensor) -> npt.NDArray[np.float16]:
    return np.ascontiguousarray(value.detach().cpu().half().numpy())


def _standardisation() -> list[NodeProto]:
    """`trainer.wnet.standardise`, node by node.

    The planes come first, as bytes: OpenVINO then runs the arithmetic over rows of 128 values rather than of 3, and
    the whole network on two AVX2 cores 1.4 times as fast (756 against 1,079 pictures a second, side by side).
    """
    return [
        helper.make_node("Transpose", ["images"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["planes"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["values", "all_pixels"], ["mean"], keepdims=1),
        helper.make_node("Sub", ["values", "mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "centred"], ["squared"]),
        # Rows first, then rows together: a single float32 sum of 49,152 squares is off by 1.5e-5 in some runtimes.
        helper.make_node("ReduceMean", ["squared", "rows"], ["row_variance"], keepdims=1),
        helper.make_node("ReduceMean", ["row_variance", "all_rows"], ["variance"], keepdims=1),
        helper.make_node("Sqrt", ["variance"], ["deviation"]),
        helper.make_node("Max", ["deviation", "smallest_deviation"], ["divisor"]),
        helper.make_node("Div", ["centred", "divisor"], ["maps0"]),
    ]


def _convolutions() -> list[NodeProto]:
    nodes = []
    for k in (1, 2, 3):
        inputs = [f"maps{k - 1}", f"conv{k}.weight.float", f"conv{k}.bias.float"]
        nodes += [
            helper.make_node("Conv", inputs, [f"conv{k}"], kernel_shape=[3, 3], pads=[1] * 4),
            helper.make_node("MaxPool", [f"conv{k}"], [f"pool{k}"], kernel_shape=[2, 2], strides=[2, 2]),
            helper.make_node("Relu", [f"pool{k}"], [f"maps{k}"]),
        ]
    return nodes


def _dense_layers() -> list[NodeProto]:
    return [
        helper.make_node("Reshape", ["maps3", "flat"], ["flattened"]),
        helper.make_node("Gemm", ["flattened", "dense1.weight.float", "dense1.bias.float"], ["dense1"], transB=1),
        helper.make_node("Relu", ["dense1"], ["features"]),
        helper.make_node("Gemm", ["features", "dense2.weight.float", "dense2.bias.float"], ["logits"], transB=1),
    ]
