"""Pictures whose decoding ends the process: found, put into quarantine, and nobody else with them."""

import json
import random
from collections.abc import Mapping
from typing import Any, Final

from faults.ground_truth import Expected
from faults.part import Part
from faults.scene import Scene

from smear.files import sha256
from worker.reading import QUARANTINED


#: Once among others, then twice alone.
MOST_DEATHS: Final = 3
#: Ways to die that are the picture's own doing, in turn.
MANNERS: Final = ("segv", "exit", "abort")


def with_killers(expected: Expected, killers: Mapping[str, str]) -> Expected:
    """What must come out of a slide where these files (path -> SHA-256) kill, and so are never decoded again."""
    told: dict[str, Any] = json.loads(json.dumps(expected.told))
    files = dict(expected.files)
    for path, content in killers.items():
        said = files[path]
        told["cells"][said["state"]] -= 1
        told["cells"]["unreadable"] += 1
        if said["state"] == "classified":
            told["counts"][said["type"]] -= 1
        files[path] = dict.fromkeys(said) | {"sha256": content, "state": "unreadable", "problem": QUARANTINED}
        told["problems"].append({"file": path, "reason": QUARANTINED})
    told["problems"].sort(key=lambda problem: list(files).index(problem["file"]))
    return Expected(told, files, expected.revisions)


def quarantined(scene: Scene) -> set[str]:
    """What `worker quarantine list` names on this part's slides."""
    assert scene.started is not None
    done = scene.started.worker("quarantine", "list", "--json")
    assert done.returncode in {0, 1}, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    # A picture on no slide at all would be a mistake too.
    others = [one for one in told if one["places"] and not any(p["slide_id"] in scene.truth for p in one["places"])]
    return {one["sha256"] for one in told if one not in others}


def _killers(scene: Scene) -> None:
    """Planted pictures among good ones, while workers are also killed from outside: those condemn nobody."""
    service = scene.service()
    dice, planted = random.Random(3), set[str]()
    for n, name in enumerate(scene.names(scene.size("slides"))):
        killers: dict[str, str] = {}
        with scene.laying_down(name) as folder:
            for file in sorted(scene.source_of(name).iterdir()):
                (folder / file.name).write_bytes(file.read_bytes())
            if n % scene.size("every") == 0:
                for k, file in enumerate(dice.sample(sorted(folder.iterdir()), scene.size("killers_a_slide"))):
                    # Padding makes it a content of its own: what is in quarantine stays there, whoever plays next.
                    data = file.read_bytes() + b"\0" * 10_000 + b" " * scene.nth
                    file.write_bytes(data)
                    killers[file.name] = sha256(data)
                    service.plan.plant(killers[file.name], MANNERS[(n + k) % len(MANNERS)])
                    scene.inject("killers planted")
            scene.truth[name] = with_killers(scene.truth[name], killers)
        planted |= set(killers.values())
    for _ in range(scene.size("kills_from_outside")):
        service.plan.give("kill", "decoded")
        scene.wait(lambda: not service.plan.waiting(), 90, "no worker was left to kill")
        scene.inject("worker kill -9")

    def worst() -> int:
        died = [note["of"] for note in service.plan.notes(what="died")]
        return max(died.count(killer) for killer in planted)

    if scene.off:
        scene.wait(lambda: worst() > MOST_DEATHS, 120, "nobody died")
    else:
        # Each killer ends a worker three times, and the next one takes some seconds to be ready.
        scene.finish(max(120, 15 * len(planted)))
    scene.outcome.figures |= {"deaths": len(service.plan.notes(what="died")), "most_deaths_of_one_killer": worst()}
    if scene.off:
        return
    assert worst() <= MOST_DEATHS
    scene.outcome.acted["quarantine"] += len(planted)
    found = quarantined(scene)
    assert found == planted, f"in quarantine by mistake: {found - planted}; not in it: {planted - found}"


PARTS: Final = (
    Part(
        "killers",
        "pictures that kill their worker, among kills from outside",
        _killers,
        full={"slides": 60, "every": 6, "killers_a_slide": 2, "kills_from_outside": 20},
        short={"slides": 2, "every": 2, "killers_a_slide": 1, "kills_from_outside": 1},
        expects=frozenset({"supervisor"}),
    ),
)
