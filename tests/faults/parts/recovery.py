"""How soon it goes on after a death, an outage, an absence; and how soon it stops when told to."""

import time
from typing import Any, Final

from faults.part import Part
from faults.scene import Scene
from faults.service import FaultyService
from sqlmodel import col, select

from smear.tables import RevisionRow, SlideRow


#: What is promised, in seconds; the share's is in scans.
CLAIMED_AFTER_LEASE, BROKER_BACK, STOPPED, SHARE_BACK_SCANS = 5.0, 30.0, 30.0, 2


def _recovery(scene: Scene) -> None:
    """In the long form with the lease that is shipped, 15 s."""
    service = scene.service() if scene.short else scene.service(WNET_LEASE_SECONDS="15")
    figures: dict[str, float] = {}
    for _ in range(scene.size("times")):
        _keep_worst(figures, "claimed_again_seconds", _claimed_again(scene, service))
        _keep_worst(figures, "broker_back_seconds", _broker_back(scene, service))
        _keep_worst(figures, "share_back_scans", _share_back(scene, service))
        _keep_worst(figures, "stop_seconds", _stopped(scene, service))
    scene.outcome.figures |= figures
    scene.finish(60)
    if not scene.short:  # a busy machine in a short run proves nothing about seconds
        lease = service.settings.lease_seconds
        assert figures["claimed_again_seconds"] <= lease + CLAIMED_AFTER_LEASE
        assert figures["broker_back_seconds"] <= BROKER_BACK
        assert figures["share_back_scans"] <= SHARE_BACK_SCANS
        assert figures["stop_seconds"] <= STOPPED


def _keep_worst(figures: dict[str, float], name: str, value: float) -> None:
    figures[name] = round(max(value, figures.get(name, 0.0)), 2)


def _attempts(service: FaultyService, name: str) -> int:
    ours = select(RevisionRow.attempts).join(SlideRow, col(SlideRow.id) == col(RevisionRow.slide))
    with service.store.read() as session:
        return session.exec(ours.where(SlideRow.slide_id == name)).one_or_none() or 0


def _claims(service: FaultyService) -> list[Any]:
    with service.store.read() as session:
        return list(session.exec(select(RevisionRow.claimed_by)))


def _claimed_again(scene: Scene, service: FaultyService) -> float:
    """Seconds from a worker's death over a slide until the slide is claimed again."""
    service.plan.give("kill", "inferred")
    (name,) = scene.drop(1, marked=True)
    scene.wait(lambda: not service.plan.waiting(), 60, "nothing was inferred")
    scene.inject("worker kill -9 over a slide")
    return scene.wait(lambda: _attempts(service, name) >= 2, 60, "not claimed again")


def _broker_back(scene: Scene, service: FaultyService) -> float:
    """Seconds from the broker's death until a slide dropped then is done."""
    scene.finish(60)
    service.kill("broker")
    scene.inject("broker kill -9")
    scene.drop(1, marked=True)
    settle = service.settings.file_settle_seconds
    return max(scene.finish(60) - settle, 0.0)


def _share_back(scene: Scene, service: FaultyService) -> float:
    """Scans from the share's return until a slide that was half there before it went is done, beyond its settling."""
    away = service.drop.with_name("away")
    (name,) = scene.names(1)
    files = sorted(scene.source_of(name).iterdir())
    (service.drop / name).mkdir()
    for file in files[::2]:
        (service.drop / name / file.name).write_bytes(file.read_bytes())
    service.drop.rename(away)
    scene.inject("root away")
    time.sleep(2)
    for file in files[1::2]:
        (away / name / file.name).write_bytes(file.read_bytes())
    away.rename(service.drop)
    took = scene.finish(60) - service.settings.settle_seconds
    return max(took, 0.0) / service.settings.scan_seconds


def _stopped(scene: Scene, service: FaultyService) -> float:
    """Seconds that a stop in the middle of work takes."""
    scene.drop(4)
    scene.wait(lambda: any(_claims(service)) or not scene.unfinished(), 60, "nothing was claimed")
    took = service.stop()
    scene.inject("SIGTERM")
    service.start()
    return took


PARTS: Final = (
    Part(
        "recovery",
        "how soon it goes on, and how soon it stops",
        _recovery,
        full={"times": 5},
        short={"times": 1},
        expects=frozenset({"supervisor"}),
    ),
)
