"""`make bench-engines`: the CPU's engines beside eager PyTorch, a thread each, batch 64, to var/bench-engines.json.

All take turns in one run and the best of eight counts, so that only ratios are told. PyTorch is spelt as the paper
draws W-Net, channels_last (tests/bench/baselines.py), and with the pool before the ReLU, its fastest eager spelling.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from host import PROJECT, commit, machine

from engine_build.calibration import pictures
from engine_build.openvino_form import compile_form
from smear import bundle as bundles
from smear.bundle import NETWORK
from smear.shipped import shipped_bundle
from worker.engines.forms import Form, StoredForm, file_sha256, processor
from worker.engines.openvino import OpenVinoEngine


BATCH, TURNS = 64, 8
PRECISIONS = ("fp32", "bf16", "int8")
BASELINES = ("torch", "torch_pool_first")


def compiled(bundle, precision, folder, calibration):
    """OpenVINO's engine of a form, made here and now."""
    folder.mkdir()
    compile_form(bundle, precision, folder, calibration)
    form = Form(bundle=bundle.bundle_id, network_sha256=bundle.manifest.files[NETWORK], backend="openvino",
                precision=precision, runtime="openvino", version=version("openvino"), device=processor(),
                built=datetime.now(UTC), files={path.name: file_sha256(path) for path in folder.iterdir()})  # fmt: skip
    return OpenVinoEngine(StoredForm(folder, form), 1)


def plain(network, work):
    """Eager PyTorch in both spellings, from the same bytes to the same logits.

    PyTorch is loaded here, after the forms were compiled: NNCF would touch it where it is loaded.
    """
    import torch
    from baselines import PlainWNet
    from bench import plain_weights
    from torch import nn

    torch.set_num_threads(1)
    plain_weights(network, work / "plain.pt")

    class Plain:
        def __init__(self, pool_first):
            self.model = PlainWNet()
            self.model.load_state_dict(torch.load(work / "plain.pt", weights_only=True))
            if pool_first:
                layers = list(self.model.features)
                for at in (1, 5, 9):
                    layers[at], layers[at + 1] = layers[at + 1], layers[at]
                self.model.features = nn.Sequential(*layers)
            self.model = self.model.eval().to(memory_format=torch.channels_last)

        def infer(self, images):
            with torch.inference_mode():
                x = torch.from_numpy(images).permute(0, 3, 1, 2).float().contiguous(memory_format=torch.channels_last)
                x = (x - x.mean((1, 2, 3), keepdim=True)) / x.std((1, 2, 3), keepdim=True, correction=0)
                return self.model(x).numpy(), None

    return {name: Plain(name == "torch_pool_first") for name in BASELINES}


def alternating(engines, images, turns):
    """Seconds of each engine's best of so many turns."""
    seconds = {name: [] for name in engines}
    for turn in range(turns + 1):
        for name, engine in engines.items():
            began = time.perf_counter()
            engine.infer(images)
            if turn:  # the first warms everything up and does not count
                seconds[name].append(time.perf_counter() - began)
    return {name: min(took) for name, took in seconds.items()}


def measure(turns, limit, calibration):
    """Everything that is told; `limit` pictures are compared and `calibration` calibrate int8, 0 for all."""
    bundle = bundles.load(shipped_bundle())
    chosen = pictures(bundle, None, None, limit)
    calibrating = chosen.calibration[: calibration or None]
    judged = chosen.verification.images
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        ours = {precision: compiled(bundle, precision, work / precision, calibrating) for precision in PRECISIONS}
        engines = plain(bundle.network, work) | ours
        best = alternating(engines, np.resize(judged, (BATCH, *judged.shape[1:])), turns)
        types = {name: engine.infer(judged)[0].argmax(axis=1) for name, engine in engines.items()}
    return {
        "machine": machine("torch", "openvino", "nncf", "numpy"),
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "batch": BATCH,
        "repetitions": turns,
        # A processor without bfloat16 computes that form in float32.
        "computed_in": {precision: engine.name.partition("-")[2] for precision, engine in ours.items()},
        "ratios": {base: {name: round(best[base] / best[name], 2) for name in PRECISIONS} for base in BASELINES},
        "figures": {"pictures_a_second": {name: round(BATCH / took, 1) for name, took in best.items()}},
        "same_type_as_torch": {
            name: round(float((types[name] == types["torch"]).mean()), 4)
            for name in (*PRECISIONS, "torch_pool_first")
        },
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    call = argparse.ArgumentParser(description=__doc__)
    call.add_argument("--turns", type=int, default=TURNS)
    call.add_argument("--pictures", type=int, default=0, help="compared with PyTorch's types; 0: the whole hold-out")
    call.add_argument("--calibration", type=int, default=0, help="pictures that calibrate int8; 0: all samples")
    call.add_argument("--out", type=Path, default=PROJECT / "var" / "bench-engines.json")
    given = call.parse_args(arguments)
    told = measure(given.turns, given.pictures, given.calibration)
    given.out.parent.mkdir(exist_ok=True)
    given.out.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    instructions = " ".join(told["machine"]["instructions"]) or "none of those that matter here"
    print(f"{told['machine']['processor']}: {instructions}; computed in {told['computed_in']}", file=sys.stderr)
    print(json.dumps(told["ratios"]), f"-> {given.out}")


if __name__ == "__main__":
    main()
