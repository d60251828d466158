"""A TensorRT that is none: a plan is the ONNX file itself, and OpenVINO answers, on the streams of the fake PyCUDA."""

import enum

import numpy as np
from pycuda import driver


__version__ = "11.4.0"
PROFILE = [(n, 128, 128, 3) for n in (1, 8, 16)]


class Severity(enum.Enum):
    INTERNAL_ERROR, ERROR, WARNING, INFO = range(4)


class ILogger:
    INTERNAL_ERROR, ERROR, WARNING = Severity.INTERNAL_ERROR, Severity.ERROR, Severity.WARNING

    def __init__(self):
        pass


class NetworkDefinitionCreationFlag(enum.IntEnum):
    STRONGLY_TYPED = 1


class BuilderFlag(enum.Enum):
    TF32 = 1


class Network:
    def __init__(self, flags):
        assert flags == 1 << NetworkDefinitionCreationFlag.STRONGLY_TYPED
        self.onnx = None


class Configuration:
    def clear_flag(self, flag):
        assert flag is BuilderFlag.TF32

    def add_optimization_profile(self, profile):
        return 0 if profile.shapes else -1


class Profile:
    def __init__(self):
        self.shapes = {}

    def set_shape(self, name, least, likely, most):
        self.shapes[name] = (least, likely, most)


class Builder:
    def __init__(self, logger):
        pass

    def create_network(self, flags):
        return Network(flags)

    def create_builder_config(self):
        return Configuration()

    def create_optimization_profile(self):
        return Profile()

    def build_serialized_network(self, network, configuration):
        return network.onnx


class OnnxParser:
    num_errors = 0

    def __init__(self, network, logger):
        self.network = network

    def parse(self, content):
        self.network.onnx = content
        return True


class Runtime:
    def __init__(self, logger):
        self.logger = logger

    def deserialize_cuda_engine(self, content):
        import openvino as ov

        try:
            model = ov.Core().read_model(content)
        except RuntimeError:
            self.logger.log(Severity.ERROR, "the plan was built by another\nTensorRT")
            return None
        return CudaEngine(ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}))


class CudaEngine:
    names = ("images", "logits", "features")
    num_io_tensors = len(names)

    def __init__(self, compiled):
        self.compiled = compiled

    def get_tensor_name(self, i):
        return self.names[i]

    def get_tensor_profile_shape(self, name, profile):
        return PROFILE

    def create_execution_context(self):
        return ExecutionContext(self.compiled)


class ExecutionContext:
    def __init__(self, compiled):
        self.request, self.shape, self.addresses = compiled.create_infer_request(), None, {}

    def set_input_shape(self, name, shape):
        self.shape = shape
        return PROFILE[0][0] <= shape[0] <= PROFILE[2][0]

    def set_tensor_address(self, name, address):
        self.addresses[name] = address
        return True

    def execute_async_v3(self, handle):
        shape, room = self.shape, {name: driver.memory[address] for name, address in self.addresses.items()}

        def work():
            pictures = room["images"][: np.prod(shape)].reshape(shape)
            answer = self.request.infer({"images": pictures})
            for name in ("logits", "features"):
                flat = np.ascontiguousarray(answer[name], np.float32).reshape(-1).view(np.uint8)
                room[name][: len(flat)] = flat

        driver.streams[handle].enqueue(work)
        return True
