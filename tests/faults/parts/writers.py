"""Writers of every bad habit, several at a time."""

import functools
import threading
import time
from pathlib import Path
from typing import Final

from faults.ground_truth import pictures
from faults.part import Part
from faults.scene import Scene
from faults.writing import AFTERTHOUGHTS, HABITS, marker_first


def _pictures_of(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def _pause(settle_seconds: float, name: str, stalled: set[str]) -> None:
    """Half as long as a slide takes to settle; on a busy machine it may turn out longer."""
    started = time.monotonic()
    time.sleep(settle_seconds / 2)
    if time.monotonic() - started > 0.8 * settle_seconds:
        stalled.add(name)


def _writers(scene: Scene) -> None:
    service = scene.service()
    settle_seconds = service.settings.settle_seconds
    for _ in range(scene.size("rounds")):
        writers, names = [], scene.names(len(HABITS) + len(AFTERTHOUGHTS))
        stalled = set[str]()
        for name, habit in zip(names, HABITS, strict=False):
            given = _pictures_of(scene.source_of(name))
            pause = functools.partial(_pause, settle_seconds, name, stalled)
            writers.append(threading.Thread(target=habit, args=(given, service.drop / name, pause)))
            scene.inject(habit.__name__.replace("_", " "))
        thought_over = names[len(HABITS) :]
        for name in thought_over:
            (service.drop / name).mkdir()
            for file, data in _pictures_of(scene.source_of(name)).items():
                (service.drop / name / file).write_bytes(data)
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        scene.finish(90)
        spare = iter(scene.dice.sample(pictures(), len(AFTERTHOUGHTS)))
        for name, afterthought in zip(thought_over, AFTERTHOUGHTS, strict=True):
            afterthought(service.drop / name, next(spare).read_bytes())
            scene.inject(afterthought.__name__.replace("_", " "))
        second = set(thought_over)
        scene.wait(
            lambda second=second: {n for n, at in service.states().items() if at == (2, "classified")} >= second,
            60,
            "a second revision never came",
        )
        # Who says "complete" and then writes on may be taken at his word; so may a writer whom this machine held up.
        taken_at_their_word = stalled | {names[HABITS.index(marker_first)]}
        scene.settle_truth(
            {name: 2 if name in second else None if name in taken_at_their_word else 1 for name in names}
        )


PARTS: Final = (Part("writers", "writers of every bad habit", _writers, full={"rounds": 20}, short={"rounds": 1}),)
