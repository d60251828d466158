"""The database locked or restarted, the disk full, the wall clock a day off."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from faults.part import CannotPlay, Part
from faults.postgres_server import NoPostgres, PostgresServer
from faults.scene import Scene
from faults.service import locked


def _database_locked(scene: Scene) -> None:
    service = scene.service()
    assert service.store.file is not None
    scene.drop(4)
    with locked(service.store.file, scene.size("seconds")):
        scene.inject("database locked")
        scene.drop(4)
    scene.drop(2)
    scene.finish(90)


def _postgres_restarts(scene: Scene) -> None:
    try:
        server = PostgresServer()
    except NoPostgres as error:
        raise CannotPlay(str(error)) from None
    server.start()
    try:
        service = scene.service(WNET_DATABASE_URL=server.url)
        for n in range(scene.size("restarts")):
            scene.drop(4)
            time.sleep(scene.dice.uniform(0.2, 2.0))
            server.restart("immediate" if n % 2 == 0 else "fast")
            scene.inject("PostgreSQL restarted")
        assert service.store.file is None
        scene.finish(90)
    finally:
        # The service goes first: its database is about to.
        scene.end_service()
        server.remove()


#: Below this no slide is claimed; and what the log says then, and afterwards.
RESERVE_MB: Final = 20
STOPPED, GOES_ON = "the disk is nearly full", "there is room again"


class NoSmallDisk(CannotPlay):
    """A small disk of our own cannot be had here; its text says why."""


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    """A file system of that size mounted on a folder; raises NoSmallDisk."""
    if os.getuid() != 0:
        raise NoSmallDisk("mounting a small disk takes root")
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "wnet-faults", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NoSmallDisk(f"a small disk cannot be mounted: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def leave(file: Path, megabytes: int) -> None:
    """Write until so much room is left."""
    with file.open("ab", buffering=0) as out:
        while shutil.disk_usage(file.parent).free > megabytes * 2**20:
            out.write(b"\1" * 2**18)


def fill(file: Path) -> None:
    """Write until nothing more fits."""
    with file.open("ab", buffering=0) as out:
        for block in (2**20, 4096, 1):
            try:
                while True:
                    out.write(b"\1" * block)
            except OSError:
                continue


def _disk_full(scene: Scene) -> None:
    """Database and broker's file lie on a disk that fills up; pictures lie elsewhere."""
    disk = scene.folder / "disk"
    disk.mkdir()
    drop = scene.folder / "in"
    with small_disk(disk, scene.size("megabytes")):
        try:
            service = scene.service(
                WNET_VAR=str(disk / "var"), WNET_DROP=str(drop), WNET_DISK_RESERVE_MB=str(RESERVE_MB)
            )
            for _ in range(scene.size("times")):
                scene.drop(2)
                leave(disk / "ballast", RESERVE_MB // 2)
                scene.inject("disk below its reserve")
                scene.drop(2)
                # What is in hand by now may end; after that nothing is claimed.
                scene.wait(lambda: service.said().count(STOPPED) > service.said().count(GOES_ON), 60, "claims went on")
                fill(disk / "ballast")
                scene.inject("disk full")
                scene.drop(2)
                time.sleep(scene.size("full_seconds"))
                (disk / "ballast").unlink()
                scene.finish(90)
            assert service.processes("worker"), "the worker is gone"
        finally:
            scene.end_service()
    shutil.rmtree(disk, ignore_errors=True)


def _clock(scene: Scene) -> None:
    """Settling, leases and back-off go by the monotonic clock: a jump of the wall clock changes none of them."""
    service = scene.service()
    day = 86_400
    for jump in [day, -day, 0] * scene.size("rounds"):
        names = scene.drop(2)
        service.plan.switch("clock", str(jump))
        scene.inject("clock a day off")
        for name in names:  # pictures of yesterday and tomorrow
            for file in (service.drop / name).iterdir():
                os.utime(file, (time.time() - jump, time.time() - jump))
        time.sleep(0.5)
        scene.drop(1)
        service.plan.give("kill", "decoded")
        scene.finish(60)
        assert not service.plan.waiting(), "no worker was killed with its clock off"
        scene.inject("worker kill -9 with its clock off")


PARTS: Final = (
    Part(
        "clock",
        "the wall clock a day ahead, a day behind, and right again, with workers killed meanwhile",
        _clock,
        full={"rounds": 3},
        short={"rounds": 1},
        expects=frozenset({"supervisor", "reports"}),
    ),
    Part(
        "database-locked",
        "the database locked by somebody else",
        _database_locked,
        full={"seconds": 60},
        short={"seconds": 2},
    ),
    Part(
        "postgres-restarts",
        "PostgreSQL crashed and restarted under load",
        _postgres_restarts,
        full={"restarts": 10},
        short={"restarts": 2},
    ),
    Part(
        "disk-full",
        "the disk of database and broker full at every step, then room again",
        _disk_full,
        full={"megabytes": 160, "times": 5, "full_seconds": 20},
        short={"megabytes": 160, "times": 1, "full_seconds": 3},
        expects=frozenset({"reserve"}),
    ),
)
