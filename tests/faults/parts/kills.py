"""Worker, watcher and broker killed with `kill -9`, at random and at every named step of the work."""

import dataclasses
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil
from faults.part import Part
from faults.scene import Scene
from faults.service import FaultyService
from faults.steps import KILL_STEPS


def kill_one(scene: Scene, service: FaultyService, name: str) -> None:
    """`kill -9` the process tree of one process of that name, as soon as there is one."""
    found: list[psutil.Process] = []

    def any_there() -> bool:
        found[:] = service.processes(name)
        return bool(found)

    scene.wait(any_there, 60, f"no {name} was started again")
    victim = scene.dice.choice(found)
    try:
        tree = [victim, *victim.children(recursive=True)]
    except psutil.NoSuchProcess:
        tree = []
    for process in tree:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    scene.inject(f"{name} kill -9")


def _each_killed(scene: Scene) -> None:
    service = scene.service()
    for _ in range(scene.size("rounds")):
        for name in ("worker", "watcher", "broker"):
            scene.drop(2)
            kill_one(scene, service, name)
    scene.finish(60 if not scene.off else 15)


def _worker_kills(scene: Scene) -> None:
    service = scene.service(workers=scene.size("workers"))
    with scene.dropping(0.05):
        for _ in range(scene.size("rounds")):
            for step in KILL_STEPS:
                service.plan.give("kill", step)
                scene.inject(f"worker kill -9 at {step}")
            scene.wait(lambda: not service.plan.waiting(), 120, "a step was never reached")
        for _ in range(scene.size("at_random")):
            time.sleep(scene.dice.uniform(0.1, 2.5))
            kill_one(scene, service, "worker")
    for _ in range(scene.size("silent")):
        _die_silently(scene, service)
    reached = {note["step"] for note in service.plan.notes(what="kill")}
    assert reached >= set(KILL_STEPS), f"never killed at {set(KILL_STEPS) - reached}"
    scene.drop(max(scene.size("slides") - len(scene.truth), 0))
    scene.finish(60 + 0.5 * len(scene.truth))


def _die_silently(scene: Scene, service: FaultyService) -> None:
    """A worker that nobody supervises, as on a host that lost its power: only its silence tells."""
    with service.paused("worker"), service.another_worker() as alone:
        service.plan.give("stop", "claimed")
        scene.drop(1, marked=True)
        scene.wait(lambda: not service.plan.waiting(), 60, "the worker by itself claimed nothing")
        alone.kill()
        scene.inject("unsupervised worker kill -9")


def _broker_kills(scene: Scene) -> None:
    service = scene.service()
    with scene.dropping(0.05):
        for _ in range(scene.size("kills")):
            time.sleep(scene.dice.uniform(0.1, 1.5))
            kill_one(scene, service, "broker")
        for _ in range(scene.size("pauses")):
            with service.paused("broker"):
                time.sleep(scene.dice.uniform(0.5, 3))
            scene.inject("broker paused")
        with service.without("broker"):
            time.sleep(scene.size("away_seconds"))
        scene.inject("broker away")
    scene.finish(90 + 0.5 * len(scene.truth))


def _flush(scene: Scene) -> None:
    service = scene.service()
    for _ in range(scene.size("flushes")):
        with service.paused("worker"):
            scene.drop(scene.size("slides_a_flush"), marked=True)
            # The worker may have asked for one already, which is then on its way to it.
            scene.wait(lambda: service.queued() >= scene.size("slides_a_flush") - 1, 30, "messages never came")
            service.flush()
            scene.inject("FLUSHALL")
        if not scene.off:
            scene.finish(60)
    scene.finish(60 if not scene.off else 12)


def write_slowly(source: Path, target: Path, seconds: float) -> float:
    """As an analyser does: picture after picture, each in two pieces. How long it was held up at most."""
    target.mkdir()
    files = sorted(source.iterdir())
    longest, last = 0.0, time.monotonic()
    for file in files:
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
        data = file.read_bytes()
        with (target / file.name).open("wb") as out:
            out.write(data[: len(data) // 2])
            out.flush()
            time.sleep(seconds / len(files))
            out.write(data[len(data) // 2 :])
    return longest


def _watcher_kills(scene: Scene) -> None:
    service = scene.service()
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            (name,) = scene.names(1)
            held_up = write_slowly(scene.source_of(name), service.drop / name, 1.5)
            if held_up > 0.5 * service.settings.settle_seconds:
                # Seen from outside the slide was finished, and went on: it may have two revisions.
                scene.truth[name] = dataclasses.replace(scene.truth[name], revisions=None)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(scene.size("kills")):
            time.sleep(scene.dice.uniform(0.2, 3))
            kill_one(scene, service, "watcher")
    finally:
        stop.set()
        writer.join()
    scene.finish(60)


def _stop_and_start(scene: Scene) -> None:
    """Everything killed at once, as a power cut does, and started again; then stopped in the middle of work."""
    service = scene.service()
    for _ in range(scene.size("times")):
        scene.drop(3)
        time.sleep(scene.dice.uniform(0.5, 2.5))
        service.kill_supervisor()
        for process in service.processes():
            with suppress(psutil.NoSuchProcess):  # whose supervisor dies, dies by itself
                process.kill()
        scene.inject("everything kill -9")
        service.start()
        scene.drop(3)
        took = service.stop()
        scene.inject("stopped")
        longest = max(took, scene.outcome.figures.get("stop_seconds", 0))
        scene.outcome.figures["stop_seconds"] = round(longest, 1)
        service.start()
    assert scene.outcome.figures["stop_seconds"] <= 30
    scene.finish(60)


PARTS: Final = (
    Part(
        "each-killed",
        "worker, watcher and broker killed in turn",
        _each_killed,
        full={"rounds": 5},
        short={"rounds": 1},
        expects=frozenset({"supervisor"}),
    ),
    Part(
        "worker-kills",
        "workers killed at random and at every named step",
        _worker_kills,
        full={"workers": 2, "rounds": 15, "at_random": 95, "silent": 5, "slides": 500},
        short={"workers": 1, "rounds": 1, "at_random": 0, "silent": 1, "slides": 10},
        expects=frozenset({"supervisor", "reports", "reconciler"}),
    ),
    Part(
        "broker-kills",
        "the broker killed, paused and away",
        _broker_kills,
        full={"kills": 100, "pauses": 10, "away_seconds": 60},
        short={"kills": 2, "pauses": 1, "away_seconds": 2},
        expects=frozenset({"supervisor"}),
    ),
    Part(
        "flush",
        "every message forgotten",
        _flush,
        full={"flushes": 10, "slides_a_flush": 6},
        short={"flushes": 1, "slides_a_flush": 3},
        expects=frozenset({"reconciler"}),
    ),
    Part(
        "watcher-kills",
        "the watcher killed while slides are being written",
        _watcher_kills,
        full={"kills": 50},
        short={"kills": 2},
        expects=frozenset({"supervisor"}),
    ),
    Part(
        "stop-and-start",
        "a power cut, and a stop in the middle of work",
        _stop_and_start,
        full={"times": 10},
        short={"times": 1},
    ),
)
