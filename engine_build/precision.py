"""The bundle's graph at another precision, made in the ONNX itself: casts for float16, Q/DQ nodes for int8.

Strongly typed runtimes (TensorRT 11, TensorRT-RTX) compute in what the graph says. Standardisation and the last layer
stay float32. The graph's names are those that `trainer.export` gave.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from smear.bundle import BadBundle
from worker.engines.forms import Precision


#: Layer -> the tensor it reads. The last layer, dense2, is never made smaller.
LAYERS: Final = {"conv1": "maps0", "conv2": "maps1", "conv3": "maps2", "dense1": "flattened"}
_INT8_MAX: Final = 127


def at_precision(
    model: ModelProto, precision: Precision, ranges: Mapping[str, float] | None = None, kept: tuple[str, ...] = ()
) -> ModelProto:
    """A copy of a bundle's graph that computes in float32, float16 or int8; same inputs, same outputs.

    `ranges`, for int8: the largest magnitude of each tensor that LAYERS names, seen on real pictures. `kept`: layers
    that stay float32 all the same. Raises BadBundle for a graph that is not of our making.
    """
    made = ModelProto()
    made.CopyFrom(model)
    graph = _Graph(made)
    graph.cast_pictures_first()
    if precision == "fp16":
        graph.to_float16()
    elif precision == "int8":
        assert ranges is not None
        for layer, reads in LAYERS.items():
            if layer not in kept:
                graph.quantise(layer, reads, ranges[reads])
    elif precision != "fp32":
        raise ValueError(f"an ONNX graph is made in fp32, fp16 or int8, not in {precision}")
    graph.finish()
    return made


class _Graph:
    """A graph whose nodes are found by what they make."""

    def __init__(self, model: ModelProto) -> None:
        self._graph = model.graph
        self._nodes = {node.output[0]: node for node in model.graph.node}
        self._stored = {item.name: item for item in model.graph.initializer}
        self._dropped: set[str] = set()
        missing = [name for name in ("planes", "values", "features", *LAYERS) if name not in self._nodes]
        if missing:
            raise BadBundle(f"its network has no tensor {missing[0]}: it was not exported by this trainer")

    def cast_pictures_first(self) -> None:
        """Float32 before anything else: TensorRT does nothing with bytes but cast them."""
        transpose, cast = self._nodes["planes"], self._nodes["values"]
        if (transpose.op_type, cast.op_type) != ("Transpose", "Cast"):
            return
        cast.input[0], cast.output[0] = "images", "planes"
        transpose.input[0], transpose.output[0] = "planes", "values"
        self._nodes["planes"], self._nodes["values"] = cast, transpose

    def to_float16(self) -> None:
        """Float16 between standardisation and features, with the float16 weights as they are stored."""
        for layer in LAYERS:
            node = self._nodes[layer]
            for position, part in ((1, "weight"), (2, "bias")):
                self._drop_cast(f"{layer}.{part}")
                self._store(f"{layer}.{part}", self._value(f"{layer}.{part}").astype(np.float16))
                node.input[position] = f"{layer}.{part}"
        self._add("Cast", ["maps0"], "maps0.half", to=TensorProto.FLOAT16)
        self._nodes["conv1"].input[0] = "maps0.half"
        self._nodes["features"].output[0] = "features.half"
        self._nodes["features.half"] = self._nodes.pop("features")
        self._add("Cast", ["features.half"], "features", to=TensorProto.FLOAT)

    def quantise(self, layer: str, reads: str, largest: float) -> None:
        """One layer in int8, symmetric: its input by one scale, its weights by one an output channel."""
        node = self._nodes[layer]
        scale = np.float32(max(largest, 1e-6) / _INT8_MAX)
        self._store(f"{reads}.scale", np.array(scale, np.float32))
        self._store(f"{reads}.zero", np.array(0, np.int8))
        self._add("QuantizeLinear", [reads, f"{reads}.scale", f"{reads}.zero"], f"{reads}.int8")
        self._add("DequantizeLinear", [f"{reads}.int8", f"{reads}.scale", f"{reads}.zero"], f"{reads}.dequantised")
        node.input[0] = f"{reads}.dequantised"

        weight = self._value(f"{layer}.weight").astype(np.float32)
        per_channel = np.abs(weight).reshape(len(weight), -1).max(axis=1) / _INT8_MAX
        per_channel = np.where(per_channel > 0, per_channel, 1).astype(np.float32)
        whole = np.rint(weight / per_channel.reshape(-1, *[1] * (weight.ndim - 1)))
        self._drop_cast(f"{layer}.weight")
        self._forget(f"{layer}.weight")
        self._store(f"{layer}.weight.int8", np.clip(whole, -_INT8_MAX, _INT8_MAX).astype(np.int8))
        self._store(f"{layer}.weight.scale", per_channel)
        self._store(f"{layer}.weight.zero", np.zeros(len(weight), np.int8))
        parts = [f"{layer}.weight.{part}" for part in ("int8", "scale", "zero")]
        self._add("DequantizeLinear", parts, f"{layer}.weight.dequantised", axis=0)
        node.input[1] = f"{layer}.weight.dequantised"

    def finish(self) -> None:
        """Write nodes and stored values back, each node behind those that it reads."""
        ordered: list[NodeProto] = []
        made = {"images", *self._stored}
        waiting = [node for name, node in self._nodes.items() if name not in self._dropped]
        while waiting:
            ready = [node for node in waiting if made.issuperset(node.input)]
            assert ready, "the graph has a loop"
            ordered += ready
            made.update(name for node in ready for name in node.output)
            waiting = [node for node in waiting if not made.issuperset(node.output)]
        del self._graph.node[:]
        self._graph.node.extend(ordered)
        del self._graph.initializer[:]
        self._graph.initializer.extend(self._stored.values())

    def _add(self, kind: str, reads: list[str], makes: str, **attributes: Any) -> None:
        self._nodes[makes] = helper.make_node(kind, reads, [makes], **attributes)

    def _value(self, name: str) -> npt.NDArray[np.generic]:
        return numpy_helper.to_array(self._stored[name])

    def _store(self, name: str, value: npt.NDArray[np.generic]) -> None:
        self._stored[name] = numpy_helper.from_array(np.ascontiguousarray(value).reshape(value.shape), name)

    def _forget(self, name: str) -> None:
        del self._stored[name]

    def _drop_cast(self, name: str) -> None:
        self._dropped.add(f"{name}.float")
