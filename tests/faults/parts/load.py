"""Many slides at once; and an archive of finished ones, where only what changed may cost."""

import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final, Self

from faults.archive import lay_down_archive
from faults.ground_truth import PROJECT, Pool
from faults.part import Part
from faults.scene import Scene
from faults.service import FaultyService


#: What is promised of the long form.
RATIO, GROWTH_MB, NEW_SLIDE_SECONDS = 0.85, 60.0, 5.0
#: Each lane of the queue has a window of its own.
LANES: Final = 3
STARTUP_SECONDS, RESCAN_SECONDS, SCAN_MB = 60.0, 5.0, 300.0


class Samples:
    """The longest queue, and the workers' and the watcher's sizes, looked at every half second while it runs."""

    def __init__(self, service: FaultyService) -> None:
        self._service, self._stop = service, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.queued: list[int] = []
        self.mb: list[float] = []

    def _run(self) -> None:
        watched = [*self._service.processes("worker"), *self._service.processes("watcher")]
        while not self._stop.wait(0.5):
            self.queued.append(self._service.queued())
            self.mb.append(sum(p.memory_info().rss for p in watched if p.is_running()) / 2**20)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def growth_mb(self) -> float:
        """By how much the last third is larger than the first, after a start of a tenth."""
        warm = self.mb[len(self.mb) // 10 :] or [0.0]
        third = max(len(warm) // 3, 1)
        return max(warm[-third:]) - max(warm[:third])


def _classify_seconds(folder: Path, work: Path) -> float:
    """How long `worker classify` takes over a folder, its start left out: that of one slide is taken off."""
    one = min(p for p in folder.iterdir() if p.is_dir())
    return max(_timed([str(folder)], work) - _timed([str(one)], work), 1e-6)


def _timed(paths: list[str], work: Path) -> float:
    environment = {"PATH": str(Path(sys.executable).parent), "WNET_VAR": str(work / "none")}
    command = [sys.executable, "-c", "from worker.cli import main; main()", "classify", *paths, "--json"]
    started = time.monotonic()
    subprocess.run(
        command, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True
    )
    return time.monotonic() - started


def _burst(scene: Scene) -> None:
    """All at once; halfway through, one new slide."""
    slides, cells, distinct = scene.size("slides"), scene.size("cells"), scene.size("distinct")
    pool = Pool(scene.folder / f"pool-{distinct}x{cells}", distinct, cells)
    # A busy machine in a short run proves nothing about seconds.
    alone = None if scene.short else _classify_seconds(pool.folder, scene.folder) / (distinct - 1)
    service = scene.service() if scene.short else scene.service(WNET_SCAN_SECONDS="60")
    staging = service.drop.with_name("staging")
    staging.mkdir()
    for n in range(slides):
        name = f"{scene.prefix}{n:04d}"
        scene.truth[name] = pool.expected(n, name)
        shutil.copytree(pool.slide(n), staging / name)
        (staging / name / ".complete").touch()
    with Samples(service) as samples:
        started = time.monotonic()
        for folder in sorted(staging.iterdir()):
            folder.rename(service.drop / folder.name)
        scene.inject("slides at once", slides)
        scene.wait(lambda: scene.unfinished() <= slides // 2, slides * cells / 20 + 60, "the burst is not half done")
        new = f"{scene.prefix}new"
        scene.truth[new] = pool.expected(0, new)
        shutil.copytree(pool.slide(0), service.drop / new)
        (service.drop / new / ".complete").touch()
        dropped = time.monotonic()
        scene.wait(lambda: service.states().get(new, (0, ""))[1] == "classified", 3600, "the new slide was never done")
        new_seconds = time.monotonic() - dropped - service.settings.file_settle_seconds
        scene.finish(slides * cells / 20 + 60)
        took = time.monotonic() - started - service.settings.file_settle_seconds
    figures = scene.outcome.figures
    figures["pictures_per_second"] = round(slides * cells / took)
    if alone is not None:
        figures["classify_pictures_per_second"] = round(cells / alone)
        figures["service_of_classify"] = round(alone * (slides + 1) / took, 3)
    figures["new_slide_seconds"] = round(new_seconds, 1)
    figures["longest_queue"] = max(samples.queued)
    figures["growth_mb"] = round(samples.growth_mb(), 1)
    staging.rmdir()
    assert figures["longest_queue"] <= LANES * service.settings.queue_window
    if not scene.short:
        assert figures["service_of_classify"] >= RATIO
        assert figures["growth_mb"] <= GROWTH_MB
        assert figures["new_slide_seconds"] <= NEW_SLIDE_SECONDS


def _archive(scene: Scene) -> None:
    """Folders that are long finished: the start reads each once, a rescan only looks at each folder's time."""
    for folders in sorted({scene.size("small"), scene.size("middle"), scene.size("large")}):
        drop = scene.folder / f"archive-{folders}"
        service = scene.service(WNET_DROP=str(drop), WNET_SCAN_SECONDS="5", WNET_SETTLE_SECONDS="10")
        service.stop()
        lay_down_archive(drop, service.store, folders)
        service.plan.switch("timed")
        before, started = len(service.plan.notes(what="scan")), time.monotonic()
        service.start()
        scene.wait(lambda s=service, b=before: len(s.plan.notes(what="scan")) >= b + 4, 900, "four scans")
        first, *later = service.plan.notes(what="scan")[before:]
        (watcher,) = service.processes("watcher")
        scene.outcome.figures[str(folders)] = {
            "startup_seconds": round(first["at"] - started, 2),
            "first_scan_seconds": round(first["seconds"], 2),
            "rescan_seconds": round(min(note["seconds"] for note in later), 3),
            "watcher_mb": round(watcher.memory_info().rss / 2**20),
        }
        scene.inject("finished slides", folders)
        # Nothing of it is done again, and a new slide among them is seen.
        scene.drop(2, marked=True)
        scene.finish(120)
        revisions = service.states()
        reopened = [name for name, (number, _) in revisions.items() if number != 1]
        assert not reopened, f"{len(reopened)} finished slides were reopened"
        assert len(revisions) == folders + 2
        last = scene.outcome.figures[str(folders)]
        scene.end_service()
        shutil.rmtree(drop)
        if not scene.short:
            assert last["startup_seconds"] <= STARTUP_SECONDS
            assert last["rescan_seconds"] <= RESCAN_SECONDS
            assert last["watcher_mb"] <= SCAN_MB


PARTS: Final = (
    Part(
        "burst",
        "a day's slides at once",
        _burst,
        full={"slides": 500, "cells": 400, "distinct": 50},
        short={"slides": 10, "cells": 30, "distinct": 3},
    ),
    Part(
        "archive",
        "an archive of finished slides",
        _archive,
        full={"small": 1000, "middle": 10_000, "large": 100_000},
        short={"small": 200, "middle": 200, "large": 200},
    ),
)
