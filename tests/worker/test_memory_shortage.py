"""A host short of memory: the slide goes back unharmed, the worker waits longer each time, and says why."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from smear.bundle import BadBundle
from smear.memory import is_shortage
from smear.pictures import UnreadablePicture, decode
from smear.shipped import shipped_bundle
from smear.store import StoreUnavailable
from smear.tables import RevisionRow
from worker.engines.face import EngineUnavailable
from worker.memory import LONGEST_SECONDS, MemoryWait, shortage_named


OPENVINO = "Exception from src/node.cpp:823:\n[CPU] node 'dense1' failed\nFailed to allocate 67108864 bytes of memory\n"


def row(store, revision):
    with store.read() as session:
        return session.get(RevisionRow, revision)


def unavailable(cause):
    error = EngineUnavailable("the engine failed")
    error.__cause__ = cause
    return error


SHORTAGES = [
    MemoryError(),
    RuntimeError("std::bad_alloc"),
    RuntimeError(OPENVINO),
    RuntimeError("can't start new thread"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    EngineUnavailable("the GPU failed: out of memory"),
    unavailable(RuntimeError("std::bad_alloc")),
]


@pytest.fixture
def slide(drop, make_slide, store, queue_slide):
    make_slide(drop, "S-1", 4)
    return queue_slide(store)


class Short:
    """An engine that fails so, until there is memory again."""

    name = "fake-fp32"

    def __init__(self, engine, error):
        self.engine, self.error = engine, error

    def infer(self, images):
        if self.error is not None:
            raise self.error
        return self.engine.infer(images)


@pytest.mark.parametrize("error", SHORTAGES, ids=lambda error: str(error).strip().splitlines()[-1:] or ["MemoryError"])
def test_a_slide_is_neither_failed_nor_counted_however_often_memory_runs_short(
    store, slide, make_work, fake_engine, error
):
    engine, slept = Short(fake_engine, error), []
    work = make_work(store, engine, max_attempts=2)
    work._memory = MemoryWait(lambda: False, slept.append)
    forgotten = []
    work._engine.forget = lambda: forgotten.append(True)
    for _ in range(4):
        work.do(slide)
        found = row(store, slide)
        assert (found.state, found.attempts, found.deaths, found.claimed_by) == ("queued", 0, 0, None)
        assert found.published_at is None  # back in the outbox, for any host
        assert found.reason.startswith("the worker's host has not enough memory (")
    assert len(forgotten) == 4
    assert sum(slept) == 1 + 2 + 4  # before the second, third and fourth attempt
    engine.error = None
    work.do(slide)
    assert (row(store, slide).state, row(store, slide).reason) == ("classified", None)
    assert work._memory.seconds == 0


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("std::bad_alloc")])
def test_memory_that_does_not_suffice_to_open_the_engine_is_no_attempt(store, slide, make_work, fake_engine, error):
    work = make_work(store, fake_engine)
    work._memory = MemoryWait(lambda: False, lambda _: None)

    class FakeServing:
        def get(self):
            raise error

    work._engine = FakeServing()
    work.warm()
    work.do(slide)
    found = row(store, slide)
    assert (found.state, found.attempts) == ("queued", 0)
    assert "not enough memory" in found.reason
    assert work._memory.seconds == 1


def test_a_fault_of_this_program_is_still_one(store, slide, make_work, fake_engine):
    make_work(store, Short(fake_engine, KeyError("logits")), max_attempts=1).do(slide)
    assert row(store, slide).reason == "a fault of this program (KeyError); its log has the details"


def test_the_wait_doubles_up_to_a_minute_and_ends_where_the_process_is_told_to_stop():
    slept, stopping = [], []
    wait = MemoryWait(lambda: bool(stopping), slept.append)
    assert wait.wait()
    for _ in range(10):
        wait.shortage()
    assert wait.seconds == LONGEST_SECONDS
    assert wait.wait()
    assert sum(slept) == LONGEST_SECONDS
    stopping.append(True)
    assert not wait.wait()


def test_what_the_database_says_of_its_own_memory_passes():
    with pytest.raises(StoreUnavailable), shortage_named(unless=(StoreUnavailable,)):
        raise StoreUnavailable("the server is out of memory")
    with pytest.raises(BadBundle), shortage_named():
        raise BadBundle("its manifest is damaged")


def test_a_jpeg_that_cannot_be_decoded_for_want_of_memory_is_not_called_damaged(sample_pictures, monkeypatch):
    from smear import pictures

    def short(*_, **__):
        raise ValueError("Insufficient memory (case 4)")

    data = Path(sample_pictures[0]).read_bytes()
    monkeypatch.setattr(pictures.simplejpeg, "decode_jpeg", short)
    with pytest.raises(MemoryError):
        decode(data)
    monkeypatch.setattr(pictures.simplejpeg, "decode_jpeg", lambda *_, **__: [].index(1))
    with pytest.raises(UnreadablePicture):
        decode(data)


_UNDER_A_LIMIT = """
import re, resource, sys
from pathlib import Path
import numpy as np
from smear.memory import is_shortage
from worker.engines.face import EngineUnavailable
from worker.engines.openvino import OpenVinoEngine

def limit(more):
    used = int(re.search(r"VmSize:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
    resource.setrlimit(resource.RLIMIT_AS, (used + more, used + more))

stage, images = sys.argv[2], np.zeros((64, 128, 128, 3), np.uint8)
try:
    if stage == "opening":
        limit(40 * 2**20)
    engine = OpenVinoEngine(Path(sys.argv[1]), 1)
    limit(2**20)
    engine.infer(images)
except (EngineUnavailable, MemoryError) as error:
    print("shortage" if is_shortage(error) else f"something else: {error}")
"""


@pytest.mark.parametrize("stage", ["opening", "inferring"])
def test_openvino_under_a_real_limit_fails_in_words_that_are_known(stage):
    network = shipped_bundle() / "wnet.onnx"
    done = subprocess.run(
        [sys.executable, "-c", _UNDER_A_LIMIT, network, stage], capture_output=True, text=True, check=False
    )
    assert done.stdout == "shortage\n", done.stderr


def test_classify_names_the_slide_and_goes_on(settings, bundle, fake_engine, drop, make_slide):
    from smear.geometry import profile
    from smear.layout import layout
    from worker.batch import Batch, find_slides
    from worker.reading import SlideReader

    make_slide(drop, "S-1", 4)
    engine = Short(fake_engine, RuntimeError("std::bad_alloc"))
    batch = Batch(settings, bundle, engine, SlideReader(1), layout("slides"), profile("di60"))
    told, result = batch.one(find_slides([drop], layout("slides"))[0], lambda: None)
    assert (told["state"], result) == ("failed", None)
    assert told["problems"][0]["reason"] == "the worker's host has not enough memory (std::bad_alloc)"


def test_causes_that_go_round_end():
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert not is_shortage(first)
