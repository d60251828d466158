"""A TensorRT plan of a bundle, through the strongly typed API that TensorRT 10.x, 11.x and TensorRT-RTX share."""

from pathlib import Path
from typing import Any, Final

from onnx import ModelProto

from smear.geometry import SIDE_PX
from worker.engines import driver, trt
from worker.engines.face import EngineUnavailable
from worker.engines.tensorrt import PLAN
from worker.engines.trt import Trt


#: Pictures a batch: least, most likely, most.
PROFILE: Final = (1, 64, 256)


def compile_plan(model: ModelProto, folder: Path) -> Trt:
    """Write network.plan into a folder; says which TensorRT made it.

    TensorRT itself builds for the GPU it is on; TensorRT-RTX needs none. Raises EngineUnavailable.
    """
    loaded = trt.load(None if driver.problem() is None else "tensorrt_rtx" if _has_rtx() else None)
    lacking = driver.problem()
    if loaded.flavour == "tensorrt" and lacking is not None:
        raise EngineUnavailable(f"TensorRT builds on the GPU it builds for, and {lacking}")
    said: list[str] = []
    logger = trt.logger(loaded, said)
    builder = trt.start(loaded.module.Builder, logger, said)
    network = builder.create_network(_strongly_typed(loaded))
    parser = loaded.module.OnnxParser(network, logger)
    if not parser.parse(model.SerializeToString()):
        reasons = [" ".join(parser.get_error(i).desc().split()) for i in range(parser.num_errors)]
        raise EngineUnavailable(f"TensorRT does not read the network: {'; '.join(reasons)[:300]}")
    plan = builder.build_serialized_network(network, _configuration(loaded, builder))
    if plan is None:
        raise EngineUnavailable(f"TensorRT builds no plan: {said[-1] if said else 'it gives no reason'}")
    (folder / PLAN).write_bytes(bytes(plan))
    return loaded


def _configuration(loaded: Trt, builder: Any) -> Any:
    configuration = builder.create_builder_config()
    # float32 means float32: TF32 has ten bits of mantissa.
    configuration.clear_flag(loaded.module.BuilderFlag.TF32)
    profile = builder.create_optimization_profile()
    profile.set_shape("images", *((n, SIDE_PX, SIDE_PX, 3) for n in PROFILE))
    if configuration.add_optimization_profile(profile) < 0:
        raise EngineUnavailable(f"TensorRT refuses batches of {PROFILE[0]} to {PROFILE[2]}")
    return configuration


def _strongly_typed(loaded: Trt) -> int:
    """The graph alone says the precision. 10.x has to be told so; in 11 and RTX it is always so, and may be said."""
    flag = getattr(loaded.module.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _has_rtx() -> bool:
    return trt.present("tensorrt_rtx") or trt.present("tensorrt_rtx_bindings")
