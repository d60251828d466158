"""A GPU and a TensorRT that are none: what is enqueued is done as late as a real one might, when somebody waits for it.

So an answer read too early, a buffer filled again too soon or a missing wait between streams shows as a wrong answer.
"""

import enum
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np


class FakeEvent:
    def __init__(self, gpu):
        self.gpu, self.stream, self.until = gpu, None, 0

    def record(self, stream):
        self.gpu.inside()
        self.stream, self.until = stream, stream.enqueued

    def synchronise(self):
        self.gpu.inside()
        if self.stream is not None:
            self.stream.run(self.until)


class FakeStream:
    def __init__(self, gpu):
        self.gpu, self.waiting, self.enqueued, self.done = gpu, [], 0, 0
        self.handle = gpu.number(self)

    def enqueue(self, work):
        self.gpu.inside()
        self.waiting.append(work)
        self.enqueued += 1

    def wait(self, event):
        stream, until = event.stream, event.until
        self.enqueue(lambda: stream.run(until))

    def run(self, until):
        while self.done < until:
            self.waiting.pop(0)()
            self.done += 1

    def synchronise(self):
        self.run(self.enqueued)


class FakeBuffer:
    def __init__(self, gpu, shape, dtype):
        gpu.inside()
        self.gpu, self.host = gpu, np.empty(shape, dtype)
        self.device = np.empty(shape, dtype)
        self.address = gpu.number(self)
        gpu.live.add(self.address)

    def upload(self, n, stream):
        stream.enqueue(lambda: self.device.__setitem__(slice(n), self.host[:n]))

    def download(self, n, stream):
        stream.enqueue(lambda: self.host.__setitem__(slice(n), self.device[:n]))

    def free(self):
        self.gpu.inside()
        self.gpu.live.remove(self.address)


class FakeGpu:
    """Counts what is alive, and refuses what is called outside its context."""

    name, compute_capability, driver = "Fake 9000", "9.0", "13.0"

    def __init__(self):
        self.things, self.live, self.depth, self.pushed = {}, set(), threading.local(), 0
        self.refuses, self.turn = False, threading.Lock()
        self.depth.n = 0

    def number(self, thing):
        with self.turn:
            self.things[len(self.things) + 1] = thing
            return len(self.things)

    def inside(self):
        assert getattr(self.depth, "n", 0) > 0, "called outside the context"

    @contextmanager
    def current(self):
        self.depth.n = getattr(self.depth, "n", 0) + 1
        self.pushed += 1
        try:
            yield
        finally:
            self.depth.n -= 1

    def stream(self):
        self.inside()
        return FakeStream(self)

    def event(self):
        self.inside()
        return FakeEvent(self)

    def buffer(self, shape, dtype):
        return FakeBuffer(self, shape, dtype)


def fake_answer(images):
    """What the fake network says: the first bytes of each picture, so that every answer tells its picture."""
    flat = images.reshape(len(images), 128 * 128 * 3)
    return flat[:, :5].astype(np.float32), flat[:, :1024].astype(np.float32)


class FakeContext:
    def __init__(self, gpu):
        self.gpu, self.shape, self.addresses = gpu, None, {}

    def set_input_shape(self, name, shape):
        self.shape = shape
        return shape[0] <= 8

    def set_tensor_address(self, name, address):
        self.addresses[name] = address
        return True

    def execute_async_v3(self, handle):
        at = {name: self.gpu.things[address] for name, address in self.addresses.items()}
        n = self.shape[0]

        def work():
            at["logits"].device[:n], at["features"].device[:n] = fake_answer(at["images"].device[:n])

        self.gpu.things[handle].enqueue(work)
        return not self.gpu.refuses


class FakePlan:
    num_io_tensors = 3

    def __init__(self, gpu, names=("images", "logits", "features")):
        self.gpu, self.names, self.contexts = gpu, names, 0

    def get_tensor_name(self, i):
        return self.names[i]

    def get_tensor_profile_shape(self, name, profile):
        assert name in self.names
        return [(n, 128, 128, 3) for n in (1, 4, 8)]

    def create_execution_context(self):
        self.contexts += 1
        return FakeContext(self.gpu)


def fake_trt(gpu, plan=None, version="11.4.0", flavour="tensorrt"):
    """A Trt whose runtime loads b"plan" and nothing else."""
    from worker.engines.trt import Trt

    class Runtime:
        def __init__(self, logger):
            gpu.inside()

        def deserialize_cuda_engine(self, content):
            return (plan or FakePlan(gpu)) if content == b"plan" else None

    severity = enum.Enum("Severity", ["INTERNAL_ERROR", "ERROR", "WARNING"])
    logger = type("ILogger", (), {one.name: one for one in severity})
    return Trt(flavour, SimpleNamespace(Runtime=Runtime, ILogger=logger), version)
