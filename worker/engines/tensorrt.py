"""TensorRT on a GPU: copies and execution overlap, each call has streams and an execution context to itself."""

import threading
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from smear.bundle import Bundle
from smear.cells import CELL_TYPES
from smear.geometry import SIDE_PX
from worker.engines import driver, trt
from worker.engines.face import FEATURES, EngineUnavailable, Floats, Images, check_images, empty_answer
from worker.engines.forms import BadForm, StoredForm, stored_forms
from worker.engines.gpu import Gpu, open_gpu
from worker.engines.trt import FLAVOURS, Flavour, Trt


PLAN: Final = "network.plan"
#: The device of a plan of TensorRT-RTX that was built without a GPU: its kernels are made where it is loaded.
ANY_GPU: Final = "any"
_OUTPUTS: Final = ("logits", "features")


def open_plan(bundle: Bundle, engines: Path, precision: str = "auto") -> "TensorRtEngine":
    """The fastest plan of a bundle for this GPU and this TensorRT, of one precision or any; raises EngineUnavailable.

    What can end a process - a TensorRT runtime without a driver, a plan for something else - is not reached.
    """
    lacking = missing()
    if lacking:
        raise EngineUnavailable("; ".join(lacking))
    found = list(stored_forms(engines, bundle))
    plans = [
        one
        for one in found
        if isinstance(one, StoredForm) and one.form.backend == "tensorrt" and precision in {"auto", one.form.precision}
    ]
    if not plans and precision == "bf16":
        raise EngineUnavailable("TensorRT plans are built in fp32, fp16 and int8, not in bf16: set WNET_PRECISION")
    if not plans:
        kind, option = ("", "") if precision == "auto" else (f" {precision}", f" --precision {precision}")
        raise EngineUnavailable(
            f"there is no{kind} TensorRT plan of {bundle.bundle_id} here:"
            f" engine-build build {bundle.folder} --backend tensorrt{option}"
        )
    reasons = []
    for stored in sorted(plans, key=_speed, reverse=True):
        if not stored.form.serves:
            reasons.append(_why_not(stored))
            continue
        try:
            return open_stored_plan(stored)
        except (EngineUnavailable, BadForm) as error:
            reasons.append(str(error))
    raise EngineUnavailable("; ".join(reasons))


def open_stored_plan(stored: StoredForm) -> "TensorRtEngine":
    """The engine of one plan, verified or not, that has answered once; raises EngineUnavailable, BadForm."""
    lacking = missing()
    if lacking:
        raise EngineUnavailable("; ".join(lacking))
    loaded = trt.load(cast("Flavour", stored.form.runtime))
    gpu = open_gpu()
    why = mismatch(stored, gpu, loaded)
    if why is not None:
        raise BadForm(why)
    engine = TensorRtEngine(stored, gpu, loaded)
    try:
        # A GPU without memory, or broken by what ran before: known now, the CPU takes over instead of slides failing.
        engine.infer(np.zeros((1, SIDE_PX, SIDE_PX, 3), np.uint8))
    except EngineUnavailable:
        engine.close()
        raise
    return engine


def missing() -> list[str]:
    """What TensorRT lacks on this host, in plain words, without loading any of it."""
    problems = [driver.problem()]
    if not trt.present("pycuda"):
        problems.append("PyCUDA is not installed: pip install '.[gpu]'")
    if not trt.installed():
        problems.append("TensorRT is not installed: pip install '.[gpu]'")
    return [problem for problem in problems if problem is not None]


def mismatch(stored: StoredForm, gpu: Gpu, loaded: Trt) -> str | None:
    """Why a plan may not be loaded on this GPU by this TensorRT, in plain words; None where it may."""
    form = stored.form
    if form.runtime not in FLAVOURS or form.runtime != loaded.flavour:
        return f"{stored.folder} was built by {form.runtime}, here is {loaded.flavour}"
    if form.version != loaded.version:
        return f"{stored.folder} was built by {form.runtime} {form.version}, here is {loaded.version}: build it again"
    if form.device != ANY_GPU and (form.device, form.compute_capability) != (gpu.name, gpu.compute_capability):
        return (
            f"{stored.folder} was built for {form.device} ({form.compute_capability}),"
            f" here is {gpu.name} ({gpu.compute_capability}): build it again"
        )
    return None


class TensorRtEngine:
    """W-Net through TensorRT. May be called from several threads: each call borrows a lane of its own."""

    def __init__(self, stored: StoredForm, gpu: Gpu, loaded: Trt) -> None:
        """Load a plan that `mismatch` has nothing against; raises EngineUnavailable, BadForm."""
        self.name, self.stored = stored.form.name, stored
        self._gpu = gpu
        plan, said = stored.read(PLAN), list[str]()  # before anything is taken on the GPU
        self._lanes = _Lanes(gpu)
        # What is made on the GPU is given back when the last user lets go, also at the end of the process.
        self._finalizer = weakref.finalize(self, self._lanes.close)
        try:
            with gpu.current():
                self._lanes.load(loaded, plan, said)
        except BaseException:
            self.close()
            raise
        if self._lanes.engine is None:
            self.close()
            raise EngineUnavailable(f"TensorRT does not load {stored.folder}: {said[-1] if said else 'no reason'}")
        if (names := self._lanes.tensors) != {"images", *_OUTPUTS}:
            self.close()
            raise EngineUnavailable(f"{stored.folder} is no plan of W-Net: its tensors are {', '.join(sorted(names))}")

    def infer(self, images: Images) -> tuple[Floats, Floats]:
        """See `Engine.infer`. Raises EngineUnavailable where the GPU fails; another engine may then be opened."""
        check_images(images)
        logits, features = empty_answer(len(images))
        if not len(images):
            return logits, features
        with self._gpu.current():
            lane = self._lanes.borrow()
            try:
                lane.infer(images, logits, features)
            except BaseException:
                lane.free()  # whatever is in flight there: nobody gets this lane again
                raise
            self._lanes.give_back(lane)
        return logits, features

    def close(self) -> None:
        """Give everything on the GPU back; the engine is of no use afterwards."""
        self._finalizer()


class _Lanes:
    """All that lives on the GPU, so that it can be given back in order: lanes, engine, runtime, context."""

    def __init__(self, gpu: Gpu) -> None:
        self._gpu, self._turn, self._free = gpu, threading.Lock(), list["_Lane"]()
        self.logger: Any = None
        self.runtime: Any = None
        self.engine: Any = None
        self.tensors: set[str] = set()
        self.largest = 0

    def load(self, loaded: Trt, plan: bytes, said: list[str]) -> None:
        """The runtime, and the plan's engine; None where it does not load it."""
        self.logger = trt.logger(loaded, said)
        self.runtime = trt.start(loaded.module.Runtime, self.logger, said)
        self.engine = self.runtime.deserialize_cuda_engine(plan)
        if self.engine is not None:
            self.tensors = {self.engine.get_tensor_name(i) for i in range(self.engine.num_io_tensors)}
        if "images" in self.tensors:
            self.largest = int(self.engine.get_tensor_profile_shape("images", 0)[2][0])

    def borrow(self) -> "_Lane":
        with self._turn:
            if self._free:
                return self._free.pop()
            return _Lane(self._gpu, self.engine, self.largest)

    def give_back(self, lane: "_Lane") -> None:
        with self._turn:
            self._free.append(lane)

    def close(self) -> None:
        with self._gpu.current():
            while self._free:
                self._free.pop().free()
            self.engine = self.runtime = self.logger = None


class _Slot:
    """Room for one batch: pictures up, answers down, and when each is through."""

    def __init__(self, gpu: Gpu, largest: int) -> None:
        self.images = gpu.buffer((largest, SIDE_PX, SIDE_PX, 3), np.uint8)
        self.answers = {
            "logits": gpu.buffer((largest, len(CELL_TYPES)), np.float32),
            "features": gpu.buffer((largest, FEATURES), np.float32),
        }
        self.uploaded, self.done = gpu.event(), gpu.event()
        self.holds: slice | None = None

    def free(self) -> None:
        for buffer in (self.images, *self.answers.values()):
            buffer.free()


class _Lane:
    """A stream to compute on and one to copy on, an execution context, and two slots that take turns.

    While one slot's batch is computed, the next one's pictures are staged and copied, and the last one's answers read.
    """

    def __init__(self, gpu: Gpu, engine: Any, largest: int) -> None:
        self._largest = largest
        self._context = engine.create_execution_context()
        if self._context is None:
            raise EngineUnavailable("TensorRT gives no execution context: the GPU's memory is full")
        self._computing, self._copying = gpu.stream(), gpu.stream()
        self._slots = [_Slot(gpu, largest), _Slot(gpu, largest)]

    def infer(self, images: Images, logits: Floats, features: Floats) -> None:
        """Answer (N, 128, 128, 3) pictures, N > 0, into rows of logits and features."""
        # Batches of the same size, the largest the profile allows.
        rounds = -(-len(images) // self._largest)
        size = -(-len(images) // rounds)
        into = {"logits": logits, "features": features}
        for turn, start in enumerate(range(0, len(images), size)):
            slot = self._slots[turn % 2]
            _collect(slot, into)
            slot.holds = slice(start, min(start + size, len(images)))
            self._launch(slot, images[slot.holds])
        for slot in self._slots:
            _collect(slot, into)

    def _launch(self, slot: _Slot, images: Images) -> None:
        n = len(images)
        slot.images.host[:n] = images
        slot.images.upload(n, self._copying)
        slot.uploaded.record(self._copying)
        self._computing.wait(slot.uploaded)
        bound = self._context.set_input_shape("images", (n, SIDE_PX, SIDE_PX, 3))
        bound = self._context.set_tensor_address("images", slot.images.address) and bound
        for name, buffer in slot.answers.items():
            bound = self._context.set_tensor_address(name, buffer.address) and bound
        if not bound or not self._context.execute_async_v3(self._computing.handle):
            raise EngineUnavailable(f"TensorRT refuses a batch of {n}")
        for buffer in slot.answers.values():
            buffer.download(n, self._computing)
        slot.done.record(self._computing)

    def free(self) -> None:
        with suppress(Exception):  # a context that has failed cannot be waited for either
            self._copying.synchronise()
            self._computing.synchronise()
        self._context = None
        for slot in self._slots:
            slot.free()


def _collect(slot: _Slot, into: dict[str, Floats]) -> None:
    if slot.holds is None:
        return
    slot.done.synchronise()
    n = slot.holds.stop - slot.holds.start
    for name, buffer in slot.answers.items():
        into[name][slot.holds] = buffer.host[:n]
    slot.holds = None


def _why_not(stored: StoredForm) -> str:
    verdict = stored.form.verification
    if verdict is None:
        return f"{stored.folder} was never verified on a GPU: engine-build verify BUNDLE"
    return f"{stored.folder} is not used: {'; '.join(verdict.reasons)}"


def _speed(stored: StoredForm) -> float:
    return stored.form.verification.images_per_second if stored.form.verification else 0.0
