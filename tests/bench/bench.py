"""`make bench`: `worker classify` beside the plain script, in the same run, as ratios. Writes var/bench.json.

Twenty slides of 150 cells, made of the shipped samples: each content once, told apart by padding behind the end
marker, which costs nothing to decode. Whole processes are timed, start to end, as a user would wait for them; the
two take turns, and the ratio is the median of the turns'.
"""

import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import torch
from host import PROJECT, commit, machine
from onnx import numpy_helper

from smear import bundle as bundles
from smear import shipped
from smear.shipped import shipped_bundle


SLIDES, CELLS, REPETITIONS = 20, 150, 5


def lay_out(folder: Path) -> None:
    """The slides to classify."""
    sources = [p.read_bytes() for p in sorted(shipped.folder("samples").glob("*/*.jpg"))]
    for s in range(SLIDES):
        slide = folder / f"B-{s:04d}"
        slide.mkdir(parents=True)
        for c in range(CELLS):
            copies, source = divmod(s * CELLS + c, len(sources))
            (slide / f"cell_{c:04d}.jpg").write_bytes(sources[source] + b"\0" * copies)


def plain_weights(network: Path, out: Path) -> None:
    """The bundle's weights as the plain script's state dict."""
    arrays = {i.name: numpy_helper.to_array(i) for i in onnx.load(network).graph.initializer}
    names = {
        "conv1": "features.0",
        "conv2": "features.4",
        "conv3": "features.8",
        "dense1": "classifier.0",
        "dense2": "classifier.3",
    }
    state = {
        f"{plain}.{part}": torch.from_numpy(arrays[f"{ours}.{part}"].astype(np.float32))
        for ours, plain in names.items()
        for part in ("weight", "bias")
    }
    torch.save(state, out)


def timed(command: list[str], environment: dict[str, str], accepted: tuple[int, ...] = (0,)) -> tuple[float, str]:
    """Seconds a command takes, and what it printed."""
    started = time.perf_counter()
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode not in accepted:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return seconds, done.stdout


def agreement(database: Path, cells_csv: str) -> float:
    """Share of cells that both gave the same type, among those ours classified."""
    rows = sqlite3.connect(database).execute("SELECT slide, file, type FROM cells")
    plain = {(slide, file): cell_type for slide, file, cell_type in rows}
    header, *lines = cells_csv.splitlines()
    at = {name: i for i, name in enumerate(header.split(","))}
    ours = [line.split(",") for line in lines]
    same = [plain[r[at["slide_id"]], r[at["file"]]] == r[at["type"]] for r in ours if r[at["state"]] == "classified"]
    return sum(same) / len(same)


def main() -> None:
    """Measure, print, write."""
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        lay_out(work / "slides")
        bundle = bundles.load(shipped_bundle())
        plain_weights(bundle.network, work / "plain.pt")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("WNET_")} | {
            "WNET_VAR": str(work / "var")
        }
        ours = [sys.executable, "-c", "from worker.cli import main; main()", "classify", str(work / "slides"), "--json",
                "--bundle", str(bundle.folder), "--cells", str(work / "cells.csv")]  # fmt: skip
        seconds: dict[str, list[float]] = {"plain": [], "worker": []}
        for repetition in range(REPETITIONS + 1):  # the first warms the disk's cache and does not count
            database = work / f"plain{repetition}.sqlite"
            plain = [
                sys.executable,
                "tests/bench/baselines.py",
                "plain",
                str(work / "slides"),
                str(work / "plain.pt"),
                str(database),
            ]
            took_plain, _ = timed(plain, environment)
            took_ours, told = timed(ours, environment)
            assert sum(json.loads(line)["cells"]["total"] for line in told.splitlines()) == SLIDES * CELLS
            if repetition:
                seconds["plain"].append(took_plain)
                seconds["worker"].append(took_ours)
                print(f"{repetition}: plain {took_plain:.2f} s, worker classify {took_ours:.2f} s", file=sys.stderr)
        same = agreement(database, (work / "cells.csv").read_text(encoding="utf-8"))
    pairs = [p / w for p, w in zip(seconds["plain"], seconds["worker"], strict=True)]
    told_all = {
        "machine": machine("torch", "openvino", "numpy", "pillow", "simplejpeg"),
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "repetitions": REPETITIONS,
        "ratios": {"plain_script": round(statistics.median(pairs), 2)},
        "figures": {
            "slides": SLIDES,
            "pictures": SLIDES * CELLS,
            "bundle": bundle.bundle_id,
            "same_type": round(same, 4),
            "seconds": {name: [round(s, 3) for s in values] for name, values in seconds.items()},
            "pictures_per_second": {n: round(SLIDES * CELLS / statistics.median(v)) for n, v in seconds.items()},
            "ratio_of_each_turn": [round(pair, 2) for pair in pairs],
        },
    }
    out = PROJECT / "var" / "bench.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(told_all, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(told_all["ratios"]), f"-> {out}")


if __name__ == "__main__":
    main()
