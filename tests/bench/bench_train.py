"""`make bench-train`: a training step beside the plain script's, in one run, as ratios. Writes var/bench-train.json.

The shipped hold-out's pictures, repeated to as many as a fold of ten trains on, lie decoded in memory for both; each
contender runs in a fresh process on one thread, they take turns, and a ratio is the median of the turns'. Also
measured: the data path's share of our step, and the memory of a whole fold process.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from host import PROJECT, commit, machine

from trainer.cv.folder import RUN, WORK, write_json
from trainer.produce import shipped_holdout
from trainer.recipes import BEST


#: What nine of ten folds of 5,950 pictures come to, as of the public set that the shipped network was made of.
PICTURES, REPETITIONS = 5_355, 5
#: Steps measured in a turn, by batch.
STEPS = {5: 40, 64: 16}
CONTENDERS = (("plain", 5), ("paper", 5), ("plain", 64), ("paper", 64), ("best", 64))


def lay_out(folder: Path, pictures: int) -> None:
    """pictures.npz for the steps, and `run`, a cross-validation whose fold 0 trains on as many for an epoch."""
    pixels = shipped_holdout()
    tested = pictures // 9
    rows = np.resize(np.random.default_rng(0).permutation(len(pixels.labels)), pictures + tested)
    images, labels = pixels.images[rows], pixels.labels[rows]
    np.savez(folder / "pictures.npz", images=images[:pictures], labels=labels[:pictures])
    (folder / "run" / WORK).mkdir(parents=True)
    np.savez(folder / "run" / WORK / "pixels.npz", images=images, labels=labels)
    train, test = np.split(np.arange(pictures + tested), [pictures])
    train, inner = np.split(train, [round(pictures * (1 - BEST.inner_share))])
    np.savez(folder / "run" / WORK / "rows-00.npz", train=train, inner=inner, test=test)
    settings = asdict(replace(BEST, epochs=1))
    order = {
        "model": "wnet", "recipe_settings": settings, "seed": 0, "geometry": "whole", "data_sha256": "",
        "assignment_sha256": "", "init": None, "tune": False, "host": {"device": "cpu"},
    }  # fmt: skip
    write_json(folder / "run" / RUN, order)


def measured(*arguments: object) -> dict[str, float]:
    """What a contender's process printed last."""
    command = [sys.executable, "tests/bench/training_step.py", *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-500:]}\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options: fewer of everything to try whether it works, more for steadier figures."""
    parser = argparse.ArgumentParser(description="Measures a training step beside the plain script's.")
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    parser.add_argument("--steps", type=int, help="measured in a turn (by default 40 at batch 5, 16 at batch 64)")
    parser.add_argument("--pictures", type=int, default=PICTURES)
    parser.add_argument("--out", type=Path, default=PROJECT / "var" / "bench-train.json")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    given = parsed(arguments)
    names = [f"{name}_batch{batch}" for name, batch in CONTENDERS]
    ms: dict[str, list[float]] = {name: [] for name in names}
    shares: dict[str, list[float]] = {name: [] for name in names if not name.startswith("plain")}
    with tempfile.TemporaryDirectory() as scratch:
        lay_out(Path(scratch), given.pictures)
        peak = measured("fold", Path(scratch) / "run")["peak_rss_gb"]
        for repetition in range(given.repetitions):
            for contender, (recipe, batch) in zip(names, CONTENDERS, strict=True):
                steps = given.steps or STEPS[batch]
                found = measured("steps", recipe, batch, steps, Path(scratch) / "pictures.npz")
                ms[contender].append(found["ms"])
                if contender in shares:
                    shares[contender].append(found["data_share"])
            told = ", ".join(f"{name} {values[-1]:.1f} ms" for name, values in ms.items())
            print(f"{repetition + 1}: {told}", file=sys.stderr)
    ratios = {f"cpu_batch{batch}": [p / o for p, o in zip(ms[f"plain_batch{batch}"], ms[f"paper_batch{batch}"],
                                                          strict=True)] for batch in STEPS}  # fmt: skip
    told_all = {
        "machine": machine("torch", "numpy", "opencv-python-headless"),
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "repetitions": given.repetitions,
        "ratios": {name: round(statistics.median(values), 2) for name, values in ratios.items()},
        "figures": {
            "pictures": given.pictures,
            "threads": 1,
            "steps_a_turn": {f"batch{batch}": given.steps or steps for batch, steps in STEPS.items()},
            "ms_a_step": {name: round(statistics.median(values), 1) for name, values in ms.items()},
            "ms_a_step_of_each_turn": {name: [round(v, 1) for v in values] for name, values in ms.items()},
            "ratio_of_each_turn": {name: [round(v, 2) for v in values] for name, values in ratios.items()},
            "data_path_share": {name: round(statistics.median(values), 4) for name, values in shares.items()},
            "peak_rss_gb": round(peak, 2),
        },
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(told_all, indent=2) + "\n", encoding="utf-8")
    for batch in STEPS:
        plain, ours = (told_all["figures"]["ms_a_step"][f"{name}_batch{batch}"] for name in ("plain", "paper"))
        print(f"batch {batch}: plain {plain} ms a step, ours {ours}", file=sys.stderr)
    data = ", ".join(f"{name} {100 * share:.1f} %" for name, share in told_all["figures"]["data_path_share"].items())
    print(f"data path: {data} of a step; a fold process at batch {BEST.batch}: {peak:.2f} GB", file=sys.stderr)
    print(json.dumps(told_all["ratios"]), f"-> {given.out}")


if __name__ == "__main__":
    main()
