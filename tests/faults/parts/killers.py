"""Pictures whose decoding ends the process: found, put into quarantine, and nobody else with them."""

import json
import random
from typing import Any, Final

from faults.ground_truth import Expected
from faults.part import Part
from faults.scene import Scene

from smear.files import sha256


#: Once among others, then twice alone.
MOST_DEATHS: Final = 3
#: Ways to die that are the picture's own doing, in turn.
MANNERS: Final = ("segv", "exit", "abort")


def with_quarantined(expected: Expected, killers: set[str]) -> Expected:
    """What must come out of a slide where these contents are never decoded."""
    from worker.reading import QUARANTINED

    files: dict[str, dict[str, Any]] = {}
    told = json.loads(json.dumps(expected.told))
    for path, said in expected.files.items():
        if said["sha256"] not in killers:
            files[path] = said
            continue
        nothing = {name: None for name in said if name not in {"sha256", "state", "problem"}}
        files[path] = nothing | {"sha256": said["sha256"], "state": "unreadable", "problem": QUARANTINED}
        told["cells"][said["state"]] -= 1
        told["cells"]["unreadable"] += 1
        if said["state"] == "classified":
            told["counts"][said["type"]] -= 1
        told["problems"].append({"file": path, "reason": QUARANTINED})
    told["problems"].sort(key=lambda problem: list(expected.files).index(problem["file"]))
    return Expected(told, files, expected.revisions)


def quarantined(scene: Scene) -> set[str]:
    """What `worker quarantine list` names."""
    assert scene.started is not None
    done = scene.started.worker("quarantine", "list", "--json")
    assert done.returncode in {0, 1}, done.stderr
    return {json.loads(line)["sha256"] for line in done.stdout.splitlines()}


def _killers(scene: Scene) -> None:
    """Planted pictures among good ones, while workers are also killed from outside: those condemn nobody."""
    # Settings of its own are a service of its own: what is in quarantine stays there.
    service = scene.service(WNET_MAX_ATTEMPTS="1000000" if "cap" in scene.off else "10")
    dice, planted = random.Random(3), set[str]()
    names = scene.names(scene.size("slides"))
    for n, name in enumerate(names):
        if n % scene.size("every") == 0:
            of_slide = dice.sample(sorted(scene.source_of(name).iterdir()), scene.size("killers_a_slide"))
            killers = {sha256(file.read_bytes()) for file in of_slide}
            for k, killer in enumerate(sorted(killers)):
                service.plan.plant(killer, MANNERS[(n + k) % len(MANNERS)])
            planted |= killers
            scene.inject("killers planted", len(killers))
    for name in names:
        scene.truth[name] = with_quarantined(scene.truth[name], planted)
    scene.drop_named(names)
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
        scene.finish(120)
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
