"""Events lost, too many or none at all; the share gone; reading failed for a while."""

import os
import time
from pathlib import Path
from typing import Final

from faults.part import Part
from faults.scene import Scene
from faults.steps import ERRORS
from sqlmodel import select

from smear.tables import SlideRow


#: The kernel drops events where more than this many wait.
QUEUE: Final = Path("/proc/sys/fs/inotify/max_queued_events")
#: What the log then says.
OVERFLOWED: Final = "Inotify queue overflowed; filesystem events were lost"
#: From a scan's beginning to the last row that it writes, with some slides under way.
SCAN_TAKES_SECONDS: Final = 1.0


def _no_events(scene: Scene) -> None:
    """Without an observer a slide is seen by the next scan."""
    service = scene.service(WNET_OBSERVER="none")
    dropped: dict[str, float] = {}
    for _ in range(scene.size("slides")):
        (name,) = scene.drop(1)
        dropped[name] = time.time()
        time.sleep(scene.dice.uniform(0.1, 0.6))
    scene.inject("slides without an event", len(dropped))
    scene.finish(60)
    with service.store.read() as session:
        seen = dict(session.exec(select(SlideRow.slide_id, SlideRow.first_seen_at)).all())
    figures = scene.outcome.figures
    figures["seen_after_seconds"] = round(max(seen[n].timestamp() - dropped[n] for n in dropped), 2)
    figures["scan_seconds"] = service.settings.scan_seconds
    if not scene.short:  # a busy machine in a short run proves nothing about seconds
        assert figures["seen_after_seconds"] <= service.settings.scan_seconds + scene.seconds(SCAN_TAKES_SECONDS)


def _overflow(scene: Scene) -> None:
    """The watcher stands still while more happens than the kernel remembers; then slides come whose events are lost."""
    service = scene.service()
    noise = service.drop / "noise"
    noise.mkdir(exist_ok=True)
    time.sleep(min(scene.seconds(1.5), 20))  # until it is observed too
    overflowed = service.said().count(OVERFLOWED)
    limit = int(QUEUE.read_text()) if QUEUE.exists() else 16_384
    files = max(scene.size("files"), limit + 1000)
    with service.paused("watcher"):
        for n in range(files):
            os.close(os.open(noise / f"{n}.tmp", os.O_CREAT | os.O_WRONLY))
        scene.inject("files beyond the queue of events", files)
        scene.drop(scene.size("slides"))
    scene.finish(60)
    assert service.said().count(OVERFLOWED) > overflowed, "no events were lost: this part has shown nothing"
    for n in range(files):
        (noise / f"{n}.tmp").unlink()
    noise.rmdir()


def _root_away(scene: Scene) -> None:
    """The root renamed away in the middle of arriving and of classifying, an empty folder in its place, and back."""
    service = scene.service()
    away = service.drop.with_name("away")
    for n in range(scene.size("times")):
        scene.drop(3)
        time.sleep(scene.dice.uniform(0.1, 3.0))
        service.drop.rename(away)
        if n % 2:
            service.drop.mkdir()  # the empty mount point that an unmounted share leaves
        scene.inject("root away")
        time.sleep(scene.size("away_seconds"))
        if n % 2:
            service.drop.rmdir()
        away.rename(service.drop)
        scene.drop(1)
        back = scene.finish(60)
        longest = max(back, scene.outcome.figures.get("done_after_return_seconds", 0))
        scene.outcome.figures["done_after_return_seconds"] = round(longest, 2)


def _read_errors(scene: Scene) -> None:
    """Errors of a share that may be gone a moment later: the slide waits and is read again, whole."""
    service = scene.service()
    for _ in range(scene.size("rounds")):
        for error in sorted(ERRORS):
            # Two at a time: at the third attempt a file that still cannot be read is recorded as such.
            steps = ["read", "look"] if error != "EBUSY" else ["read", "watch-look"]
            for step in steps:
                service.plan.give(error, step)
                scene.inject(f"{error} at {step}")
            scene.drop(1)
            scene.wait(lambda: not service.plan.waiting(), 60, "nothing was read")
            scene.finish(60)


PARTS: Final = (
    Part(
        "overflow",
        "more events than the kernel remembers",
        _overflow,
        full={"files": 40_000, "slides": 60},
        short={"files": 20_000, "slides": 3},
    ),
    Part(
        "root-away",
        "the share away and back",
        _root_away,
        full={"times": 10, "away_seconds": 20},
        short={"times": 2, "away_seconds": 2},
    ),
    Part(
        "read-errors",
        "EIO, ESTALE and EBUSY while folders and files are read",
        _read_errors,
        full={"rounds": 10},
        short={"rounds": 1},
        expects=frozenset({"retry"}),
    ),
    Part("no-events", "no events at all", _no_events, full={"slides": 60}, short={"slides": 4}),
)
