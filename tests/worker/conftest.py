"""What the worker's tests work on: the shipped bundle and its engine, fakes of both sides, a real broker."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smear import bundle as bundles
from smear.bundle import Bundle
from smear.cells import CELL_TYPES
from smear.settings import Settings, Source, private_folder
from smear.shipped import shipped_bundle
from smear.store import Store
from worker import arrivals
from worker.broker import NoBroker, server_command, server_program
from worker.engines.face import check_images, empty_answer
from worker.engines.openvino import OpenVinoEngine
from worker.models import register
from worker.queue import depth, sender
from worker.work import Work


class FakeEngine:
    """Answers at once: a picture's type is told by its red sum; counts what it was asked."""

    name = "fake-fp32"

    def __init__(self) -> None:
        self.batches: list[int] = []

    def infer(self, images: Any) -> tuple[Any, Any]:
        check_images(images)
        self.batches.append(len(images))
        logits, features = empty_answer(len(images))
        logits[:], features[:] = 0, 0
        kinds = images[..., 0].sum(axis=(1, 2), dtype=np.int64) % len(CELL_TYPES)
        logits[np.arange(len(images)), kinds] = 9
        return logits, features


class FakeServing:
    """Always the same bundle and engine."""

    def __init__(self, bundle: Bundle, engine: Any) -> None:
        self.bundle, self.engine = bundle, engine

    def get(self) -> tuple[Bundle, Any]:
        return self.bundle, self.engine


class FakeClock:
    """Monotonic seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> float:
        self.now += seconds
        return self.now


@pytest.fixture
def fake_engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return bundles.load(shipped_bundle())


@pytest.fixture(scope="session")
def engine(bundle: Bundle) -> OpenVinoEngine:
    return OpenVinoEngine(bundle.network, threads=2)


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    folder = tmp_path / "drop"
    folder.mkdir()
    return folder


@pytest.fixture
def settings(make_settings: Callable[..., Settings], drop: Path) -> Settings:
    return make_settings(drop=str(drop), observer="none", file_settle_seconds=2, settle_seconds=10, scan_seconds=60)


@pytest.fixture
def make_work(settings: Settings, bundle: Bundle) -> Callable[..., Work]:
    """make_work(store, engine, **changed settings): a worker that classifies with this engine, and keeps pictures."""
    from worker.keeping import keeper
    from worker.reading import SlideReader

    def make(store: Store, engine: Any, **changed: Any) -> Work:
        register(store, bundle)
        given = settings.model_copy(update=changed)
        keep = keeper(given)
        serving: Any = FakeServing(bundle, engine)
        return Work(given, store, serving, SlideReader(1, keep=keep), not_kept=keep.not_kept)

    return make


@pytest.fixture
def queue_slide() -> Callable[..., int]:
    """queue_slide(store, slide_id): the revision of a slide that has settled and waits to be classified."""

    def queue(store: Store, slide_id: str = "S-1") -> int:
        source = arrivals.register_source(store, Source("default", Path("/drop"), "slides", "di60"))
        known = arrivals.open_slide(store, source, slide_id, slide_id)
        arrivals.scanned(store, source)
        arrivals.settle(store, known.revision, None, blood=True)
        return known.revision

    return queue


@dataclass
class Broker:
    """A real server on its own Unix socket, that can be killed, paused and started again."""

    settings: Settings
    program: Path
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        private_folder(self.settings.socket_folder)
        private_folder(self.settings.var / "broker")
        self.process = subprocess.Popen(
            server_command(self.program, self.settings), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        app = sender(self.settings)
        deadline = time.monotonic() + 20
        while depth(app) is None:
            assert self.process.poll() is None, "the broker ended at once"
            assert time.monotonic() < deadline, "the broker does not answer"
            time.sleep(0.02)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)


@pytest.fixture
def broker(settings: Settings) -> Iterator[Broker]:
    """A broker that is not started yet."""
    try:
        program = server_program()
    except NoBroker as error:
        pytest.skip(str(error))
    made = Broker(settings, program)
    yield made
    made.kill()
    if not settings.socket_folder.is_relative_to(settings.var):
        shutil.rmtree(settings.socket_folder, ignore_errors=True)


@dataclass(frozen=True)
class Done:
    """What came of a command."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def worker(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """worker(*arguments, **variables): the console script, in this process, which has the engine loaded already."""
    from worker import cli

    def run(*arguments: object, **variables: object) -> Done:
        given = {"WNET_VAR": settings.var, "WNET_DROP": settings.drop} | variables
        with monkeypatch.context() as patched:
            patched.chdir(tmp_path)
            patched.setattr(sys, "argv", ["worker", *map(str, arguments)])
            for name, value in given.items():
                patched.setenv(name, str(value))
            capfd.readouterr()
            with pytest.raises(SystemExit) as ended:
                cli.main()
            code = ended.value.code
        return Done(int(code or 0), *capfd.readouterr())

    return run


@pytest.fixture
def worker_process(tmp_path: Path, settings: Settings) -> Callable[..., Done]:
    """As `worker`, in a process of its own, as a user would."""

    def run(*arguments: object, **variables: object) -> Done:
        given = {"WNET_VAR": settings.var, "WNET_DROP": settings.drop} | variables
        done = subprocess.run(
            [sys.executable, "-c", "from worker.cli import main; main()", *map(str, arguments)],
            cwd=tmp_path,
            env=os.environ | {name: str(value) for name, value in given.items()},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def json_lines() -> Callable[[str], list[dict[str, Any]]]:
    """json_lines(stdout): the objects in it; fails where there is anything else."""
    return lambda text: [json.loads(line) for line in text.splitlines()]
