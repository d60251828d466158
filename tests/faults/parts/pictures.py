"""Pictures spoilt by chance and by hand: none ends a worker, each is recorded with its reason, its neighbours live."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

from faults.ground_truth import PROJECT, pictures
from faults.hostile import HARMLESS, HOSTILE
from faults.mutate import mutated
from faults.part import Part
from faults.scene import Scene


#: By so much the decoder's process, or a worker's, may grow.
GROWTH_MB: Final = 50
SUFFIX: Final = {"JPEG": ".jpg", "BMP": ".bmp", "PNG": ".png", "TIFF": ".tif"}


def _mutated(scene: Scene) -> None:
    """Through the decoder alone, by the thousand, and some of them through the service."""
    command = [sys.executable, str(PROJECT / "tests" / "faults" / "fuzz.py")]
    numbers = (scene.size("mutated"), 0, scene.size("zero_tails"))
    done = subprocess.run([*command, *map(str, numbers)], capture_output=True, text=True, check=False, cwd=PROJECT)
    assert done.returncode == 0, f"the decoder's process ended with {done.returncode}: {done.stderr[-1000:]}"
    told = json.loads(done.stdout)
    scene.inject("mutated pictures decoded", told["mutated"])
    scene.inject("zero tails", told["zero_tails"])
    scene.outcome.figures |= told
    assert told["faults"] == []
    assert told["without_a_reason"] == 0
    assert told["zero_tails_decoded"] == 0, "a file that is half zeros was taken for a picture"
    assert told["memory_growth_mb"] < GROWTH_MB

    service = scene.service()
    workers = {process.pid for process in service.processes("worker")}
    sources = [path.read_bytes() for path in scene.dice.sample(pictures(), 20)]
    names, good = scene.names(scene.size("slides")), {}
    sizes_mb = []
    for s, name in enumerate(names):
        if s == len(names) // 2:
            # As many again: by now the engine is loaded, and has seen slides of this size.
            scene.wait(lambda s=s: scene.unfinished() <= len(names) - s, 60 + s, "slides unfinished")
            sizes_mb.append(_size_mb(service))
        with scene.laying_down(name) as folder:
            good[name] = _copy_good(scene, name, folder)
            for c in range(scene.size("spoilt_a_slide")):
                kind, _, data = mutated(sources, s * 10_000 + c)
                (folder / f"spoilt_{c:04d}{SUFFIX[kind]}").write_bytes(data)
                scene.inject("mutated pictures dropped")
    scene.finish(60 + len(names))
    assert {process.pid for process in service.processes("worker")} == workers, "a worker died"
    sizes_mb.append(_size_mb(service))
    scene.outcome.figures["worker_growth_mb"] = round(sizes_mb[-1] - sizes_mb[0], 1)
    if not scene.short:  # a slide or two are all warming up
        assert scene.outcome.figures["worker_growth_mb"] < GROWTH_MB, "a worker has grown"
    scene.settle_truth(dict.fromkeys(names, 1))
    _look_at_neighbours(scene, good)


def _size_mb(service: object) -> float:
    return float(sum(p.memory_info().rss for p in service.processes("worker")) / 2**20)  # type: ignore[attr-defined]


def _copy_good(scene: Scene, name: str, folder: Path) -> set[str]:
    good = set()
    for file in sorted(scene.source_of(name).iterdir()):
        (folder / f"good_{file.name}").write_bytes(file.read_bytes())
        good.add(f"good_{file.name}")
    return good


def _look_at_neighbours(scene: Scene, good: dict[str, set[str]]) -> None:
    """The truth itself must say it: the good ones classified, whatever was refused refused with a reason."""
    for name, files in good.items():
        said = scene.truth[name].files
        spoilt = [path for path in files if said[path]["state"] not in {"classified", "outside"}]
        assert not spoilt, f"a good picture was not classified: {spoilt[:3]}"
        silent = [path for path, one in said.items() if one["state"] in {"misfit", "unreadable"} and not one["problem"]]
        assert not silent, f"refused without a reason: {silent[:3]}"


def _hostile(scene: Scene) -> None:
    service = scene.service()
    workers = {process.pid for process in service.processes("worker")}
    names, good, bad = scene.names(scene.size("slides")), {}, set()
    for name in names:
        with scene.laying_down(name) as folder:
            good[name] = _copy_good(scene, name, folder)
            one = next(scene.source_of(name).iterdir()).read_bytes()
            for file, lay_down in HOSTILE.items():
                lay_down(folder / file, one)
                bad.add(file)
                scene.inject("hostile files")
            for file, lay_down in HARMLESS.items():
                lay_down(folder / file, one + b"\0\0\0")
                good[name].add(file)
            (folder / "folder.jpg").mkdir()  # a folder where a file belongs
        # A slide that is a way out.
        (service.drop / f"link-{name}").symlink_to("/etc")
    scene.finish(90)
    assert not [name for name in service.states() if name.startswith("link-")], "a link was followed out of the source"
    assert {process.pid for process in service.processes("worker")} == workers, "a worker died"
    scene.settle_truth(dict.fromkeys(names, 1))
    _look_at_neighbours(scene, good)
    for name in names:
        said = scene.truth[name].files
        assert said.keys() >= bad, f"not recorded: {sorted(bad - said.keys())}"
        taken = [file for file in bad if said[file]["state"] not in {"misfit", "unreadable"}]
        assert not taken, f"taken for pictures: {taken}"


def _zero_tails(scene: Scene) -> None:
    """Files that stay at half, dropped for good: the slide settles, and none of them is classified."""
    scene.service()
    names, good = scene.names(scene.size("slides")), {}
    for name in names:
        with scene.laying_down(name) as folder:
            good[name] = _copy_good(scene, name, folder)
            for n, file in enumerate(sorted(scene.source_of(name).iterdir())):
                data = file.read_bytes().rstrip(b"\0")
                (folder / f"half_{n:03d}.jpg").write_bytes(data[: len(data) // 2].ljust(len(data), b"\0"))
                scene.inject("zero tails dropped")
    scene.finish(60)
    scene.settle_truth(dict.fromkeys(names, 1))
    _look_at_neighbours(scene, good)
    for name in names:
        for path, one in scene.truth[name].files.items():
            assert not path.startswith("half_") or one["state"] == "unreadable", f"{path} was classified"


PARTS: Final = (
    Part(
        "mutated",
        "pictures spoilt by chance",
        _mutated,
        full={"mutated": 40_000, "zero_tails": 1000, "slides": 20, "spoilt_a_slide": 100},
        short={"mutated": 720, "zero_tails": 60, "slides": 1, "spoilt_a_slide": 40},
    ),
    Part("hostile", "files made by hand to do harm", _hostile, full={"slides": 5}, short={"slides": 1}),
    Part("zero-tails", "files that stay half written", _zero_tails, full={"slides": 80}, short={"slides": 1}),
)
