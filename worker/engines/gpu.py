"""The GPU as the TensorRT engine sees it: context, streams, events, buffers. Behind it, and nowhere else, is PyCUDA.

The device's primary context is retained, never made: TensorRT and everything else in the process share it. Whoever
calls anything here does it inside `current()`, which pushes the context and pops it whatever happens.

It is retained once and kept to the end of the process: detaching it, PyCUDA 2026.1 pushes a primary context and does
not pop it, and from another thread than the one that retained it, gives nothing back at all.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from worker.engines import driver
from worker.engines.face import EngineUnavailable


class Stream(Protocol):
    """Work in order on the GPU."""

    handle: int

    def wait(self, event: "Event") -> None:
        """Let what is enqueued from now on wait for the event; the host does not."""

    def synchronise(self) -> None:
        """Wait on the host until all is done."""


class Event(Protocol):
    """A point in a stream."""

    def record(self, stream: Stream) -> None:
        """Set it behind what the stream holds now."""

    def synchronise(self) -> None:
        """Wait on the host until the stream got there; at once if it was never recorded."""


class Buffer(Protocol):
    """Pinned host memory, and as much of the device's."""

    host: npt.NDArray[Any]
    address: int

    def upload(self, n: int, stream: Stream) -> None:
        """Copy the first n rows to the device."""

    def download(self, n: int, stream: Stream) -> None:
        """Copy the first n rows from the device."""

    def free(self) -> None:
        """Give both back; nothing may be in flight."""


class Gpu(Protocol):
    """One GPU."""

    name: str
    compute_capability: str
    driver: str

    def current(self) -> AbstractContextManager[None]:
        """The primary context, pushed and popped. What fails on the GPU inside comes out as EngineUnavailable."""

    def stream(self) -> Stream:
        """A new stream."""

    def event(self) -> Event:
        """A new event, in no stream yet."""

    def buffer(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Buffer:
        """Room for an array of this shape, rows first."""


@cache
def open_gpu(number: int = 0) -> Gpu:
    """The GPU of that number; raises EngineUnavailable for no driver, no PyCUDA, no device.

    Initialises CUDA: a process that was given a GPU must not fork afterwards.
    """
    missing = driver.problem()
    if missing is not None:
        raise EngineUnavailable(missing)
    try:
        import pycuda.driver as cuda  # noqa: PLC0415 - it fails to import where there is no driver
    except ImportError as error:
        raise EngineUnavailable(
            f"PyCUDA cannot be loaded ({' '.join(str(error).split())}): pip install '.[gpu]'"
        ) from None
    try:
        cuda.init()
        if number >= cuda.Device.count():
            raise EngineUnavailable(f"the NVIDIA driver is here, but there is no GPU {number}")
        return _PycudaGpu(cuda, number)
    except cuda.Error as error:
        raise EngineUnavailable(f"the NVIDIA driver refuses: {' '.join(str(error).split())}") from None


class _PycudaGpu:
    def __init__(self, cuda: Any, number: int) -> None:
        self._cuda = cuda
        device = cuda.Device(number)
        self.name = str(device.name())
        self.compute_capability = "{}.{}".format(*device.compute_capability())
        self.driver = driver.version() or "unknown"
        self._context = device.retain_primary_context()

    @contextmanager
    def current(self) -> Iterator[None]:
        try:
            self._context.push()
            try:
                yield
            finally:
                self._cuda.Context.pop()
        except self._cuda.Error as error:
            raise EngineUnavailable(f"the GPU failed: {' '.join(str(error).split())}") from error

    def stream(self) -> "_PycudaStream":
        return _PycudaStream(self._cuda)

    def event(self) -> "_PycudaEvent":
        return _PycudaEvent(self._cuda)

    def buffer(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> "_PycudaBuffer":
        return _PycudaBuffer(self._cuda, shape, dtype)


class _PycudaStream:
    def __init__(self, cuda: Any) -> None:
        self.of = cuda.Stream()
        self.handle = int(self.of.handle)

    def wait(self, event: Any) -> None:
        self.of.wait_for_event(event.of)

    def synchronise(self) -> None:
        self.of.synchronize()


class _PycudaEvent:
    def __init__(self, cuda: Any) -> None:
        self.of = cuda.Event(cuda.event_flags.DISABLE_TIMING)

    def record(self, stream: Any) -> None:
        self.of.record(stream.of)

    def synchronise(self) -> None:
        self.of.synchronize()


class _PycudaBuffer:
    def __init__(self, cuda: Any, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        self._cuda = cuda
        self.host: npt.NDArray[Any] = cuda.pagelocked_empty(shape, np.dtype(dtype))
        self._device = cuda.mem_alloc(self.host.nbytes)
        self.address = int(self._device)

    def upload(self, n: int, stream: Any) -> None:
        self._cuda.memcpy_htod_async(self._device, self.host[:n], stream.of)

    def download(self, n: int, stream: Any) -> None:
        self._cuda.memcpy_dtoh_async(self.host[:n], self._device, stream.of)

    def free(self) -> None:
        self._device.free()
        pinned: Any = self.host.base
        del self.host
        pinned.free()
