"""Writers of every bad habit, several at a time."""

import threading
import time
from pathlib import Path
from typing import Final

from faults.ground_truth import pictures
from faults.part import Part
from faults.scene import Scene
from faults.writing import AFTERTHOUGHTS, HABITS


def _pictures_of(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def _writers(scene: Scene) -> None:
    service = scene.service()
    pause_seconds = service.settings.settle_seconds / 2
    for _ in range(scene.size("rounds")):
        writers, names = [], scene.names(len(HABITS) + len(AFTERTHOUGHTS))
        for name, habit in zip(names, HABITS, strict=False):
            given = _pictures_of(scene.source_of(name))
            writers.append(
                threading.Thread(target=habit, args=(given, service.drop / name, lambda: time.sleep(pause_seconds)))
            )
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
        scene.settle_truth({name: 2 if name in second else 1 for name in names})


PARTS: Final = (Part("writers", "writers of every bad habit", _writers, full={"rounds": 20}, short={"rounds": 1}),)
