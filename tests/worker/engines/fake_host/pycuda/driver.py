"""A PyCUDA that is none: as much of its face as `worker.engines.gpu` uses, on a GPU that is as late as it may be.

What is enqueued is done when somebody waits for it. What is called outside a context, freed twice or used after it was
freed is an error.
"""

import itertools
import threading

import numpy as np


class Error(Exception):
    pass


class event_flags:  # noqa: N801 - as PyCUDA calls it
    DISABLE_TIMING = 2


_here = threading.local()
_numbers = itertools.count(1)
#: Streams by their handle, device memory by its address.
streams: dict[int, "Stream"] = {}
memory: dict[int, np.ndarray] = {}


def init():
    pass


def _inside():
    if not getattr(_here, "contexts", []):
        raise Error("invalid device context")


class Context:
    def push(self):
        _here.contexts = [*getattr(_here, "contexts", []), self]

    @staticmethod
    def pop():
        _inside()
        _here.contexts.pop()


class Device:
    def __init__(self, number):
        self.number = number

    @staticmethod
    def count():
        return 1

    def name(self):
        return "Fake 9000"

    def compute_capability(self):
        return (9, 0)

    def retain_primary_context(self):
        return Context()


class Stream:
    def __init__(self):
        _inside()
        self.waiting, self.enqueued, self.done, self.turn = [], 0, 0, threading.RLock()
        self.handle = next(_numbers)
        streams[self.handle] = self

    def enqueue(self, work):
        _inside()
        self.waiting.append(work)
        self.enqueued += 1

    def run(self, until):
        with self.turn:
            while self.done < until:
                self.waiting.pop(0)()
                self.done += 1

    def wait_for_event(self, event):
        stream, until = event.stream, event.until
        self.enqueue(lambda: stream.run(until))

    def synchronize(self):
        _inside()
        self.run(self.enqueued)


class Event:
    def __init__(self, flags=0):
        _inside()
        self.stream, self.until = None, 0

    def record(self, stream):
        _inside()
        self.stream, self.until = stream, stream.enqueued

    def synchronize(self):
        _inside()
        if self.stream is not None:
            self.stream.run(self.until)


class DeviceAllocation:
    def __init__(self, size):
        self.address = next(_numbers)
        memory[self.address] = np.empty(size, np.uint8)

    def __int__(self):
        return self.address

    def free(self):
        _inside()
        del memory[self.address]


def mem_alloc(size):
    _inside()
    return DeviceAllocation(size)


class PagelockedHostAllocation:
    def __init__(self, shape, dtype):
        self._room = np.empty(shape, dtype)
        self.__array_interface__ = self._room.__array_interface__

    def free(self):
        if self._room is None:
            raise Error("invalid resource handle")
        self._room = None


def pagelocked_empty(shape, dtype):
    _inside()
    return np.asarray(PagelockedHostAllocation(shape, dtype))


def memcpy_htod_async(dest, src, stream):
    stream.enqueue(lambda: memory[int(dest)].__setitem__(slice(src.nbytes), src.reshape(-1).view(np.uint8)))


def memcpy_dtoh_async(dest, src, stream):
    stream.enqueue(lambda: dest.reshape(-1).view(np.uint8).__setitem__(slice(None), memory[int(src)][: dest.nbytes]))
