"""Messages that come three times and in no order; claims that run out in the middle of the work."""

import random
import time
from typing import Any, Final

from faults.part import Part
from faults.scene import Scene
from faults.service import FaultyService
from sqlmodel import SQLModel, col, select

from smear.tables import RevisionRow, SlideRow
from worker.queue import publish, sender


#: Begins what is told where the fencing token did not keep a worker from writing.
STALE_WROTE: Final = "a stale worker has changed"


def rows(service: FaultyService) -> dict[str, list[Any]]:
    """Every row of every table, to be compared byte for byte; not the sources', which say when they were scanned."""
    with service.store.read() as session:
        return {
            table.name: sorted((tuple(row) for row in session.execute(select(table))), key=repr)
            for table in SQLModel.metadata.sorted_tables
            if table.name != "sources"
        }


def _thrice(scene: Scene) -> None:
    service = scene.service()
    service.plan.switch("thrice")
    scene.drop(scene.size("slides"))
    scene.finish(90)
    scene.inject("messages sent", len(service.plan.notes(what="sent")))
    with service.store.read() as session:
        ours = col(SlideRow.slide_id).startswith(scene.prefix)
        query = select(RevisionRow.id).join(SlideRow, col(SlideRow.id) == col(RevisionRow.slide)).where(ours)
        done = [number for number in session.exec(query) if number is not None] * 3
    scene.wait(lambda: service.queued() == 0, 60, "messages left over")
    time.sleep(1)
    before = rows(service)
    random.Random(1).shuffle(done)
    app = sender(service.settings)
    for number in done:
        publish(app, number)
    scene.inject("messages of finished slides", len(done))
    scene.wait(lambda: service.queued() == 0, 60, "messages left over")
    time.sleep(2)
    assert rows(service) == before, "a message of a finished slide has changed a row"


def _stale(scene: Scene) -> None:
    """A worker stands still past its lease, the slide changes, another worker finishes it, the first one wakes.

    What it knows is out of date, and must not be written.
    """
    service = scene.service()
    for _ in range(scene.size("times")):
        service.plan.give("stop", "inferred")
        (name,) = scene.drop(1)
        scene.wait(lambda: not service.plan.waiting("inferred"), 60, "nothing was inferred")
        scene.inject("worker stopped past its lease")
        folder = service.drop / name
        first, *_, last = sorted(folder.iterdir())
        # In place, so that nothing but the file itself tells of it.
        first.write_bytes(last.read_bytes() + b"\0\0\0")
        with service.another_worker():
            scene.wait(lambda name=name: service.states()[name][1] == "classified", 90, "the other worker did nothing")
        before = rows(service)
        # The watcher stands still, so that nothing repairs what the stale worker writes.
        with service.paused("watcher"):
            dropped = service.said().count("result dropped")
            service.wake()
            scene.wait(
                lambda dropped=dropped, before=before: (
                    service.said().count("result dropped") > dropped or rows(service) != before
                ),
                60,
                "the stale worker did nothing",
            )
            after = rows(service)
        changed = [table for table in before if before[table] != after[table]]
        if changed:
            scene.outcome.problems.append(f"{STALE_WROTE} {', '.join(changed)}")
        scene.settle_truth({name: 1})


PARTS: Final = (
    Part(
        "thrice",
        "every message three times and shuffled",
        _thrice,
        full={"slides": 100},
        short={"slides": 6},
    ),
    Part(
        "stale",
        "a worker that stands still past its lease, and wakes when the slide has changed and is done",
        _stale,
        full={"times": 10},
        short={"times": 1},
        expects=frozenset({"fencing", "reconciler"}),
    ),
)
