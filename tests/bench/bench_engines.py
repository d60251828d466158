"""`make bench-engines`: the CPU's engines beside eager PyTorch, a thread each, batch 64, to var/bench-engines.json.

All take turns in one run and the best of eight counts, so that only ratios are told. PyTorch is spelt as the paper
draws W-Net, channels_last (tests/bench/baselines.py), and with the pool before the ReLU, its fastest eager spelling.
"""

import json
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from baselines import PlainWNet
from bench import plain_weights
from host import PROJECT, commit, machine
from torch import nn

from engine_build.calibration import pictures
from engine_build.openvino_form import compile_form
from smear import bundle as bundles
from smear.bundle import NETWORK
from smear.shipped import shipped_bundle
from worker.engines.forms import Form, StoredForm, file_sha256, processor
from worker.engines.openvino import OpenVinoEngine


BATCH, TURNS = 64, 8


class Plain:
    """Eager PyTorch, from the same bytes to the same logits."""

    def __init__(self, weights: Path, pool_first: bool) -> None:
        self.model = PlainWNet()
        self.model.load_state_dict(torch.load(weights, weights_only=True))
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


def compiled(bundle, precision, folder, calibration):
    """OpenVINO's engine of a form, made here and now."""
    folder.mkdir()
    compile_form(bundle, precision, folder, calibration)
    form = Form(bundle=bundle.bundle_id, network_sha256=bundle.manifest.files[NETWORK], backend="openvino",
                precision=precision, runtime="openvino", version="0", device=processor(), built=datetime.now(UTC),
                files={path.name: file_sha256(path) for path in folder.iterdir()})  # fmt: skip
    return OpenVinoEngine(StoredForm(folder, form), 1)


def main() -> None:
    """Measure, print, write."""
    torch.set_num_threads(1)
    bundle = bundles.load(shipped_bundle())
    chosen = pictures(bundle, None, None)
    images = np.ascontiguousarray(chosen.verification.images[:BATCH])
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        plain_weights(bundle.network, work / "plain.pt")
        engines = {
            "torch": Plain(work / "plain.pt", pool_first=False),
            "torch_pool_first": Plain(work / "plain.pt", pool_first=True),
        }
        for precision in ("fp32", "bf16", "int8"):
            engines[precision] = compiled(bundle, precision, work / precision, chosen.calibration)
        seconds = {name: [] for name in engines}
        for turn in range(TURNS + 1):
            for name, engine in engines.items():
                began = time.perf_counter()
                engine.infer(images)
                if turn:  # the first warms everything up and does not count
                    seconds[name].append(time.perf_counter() - began)
        types = {name: engine.infer(chosen.verification.images)[0].argmax(axis=1) for name, engine in engines.items()}
    best = {name: min(took) for name, took in seconds.items()}
    told = {
        "machine": machine("torch", "openvino", "nncf", "numpy"),
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "batch": BATCH,
        "turns": TURNS,
        "ratios": {
            base: {name: round(best[base] / best[name], 2) for name in ("fp32", "bf16", "int8")}
            for base in ("torch", "torch_pool_first")
        },
        "same_type_as_torch": {
            name: round(float((types[name] == types["torch"]).mean()), 4) for name in ("fp32", "bf16", "int8")
        },
    }
    out = PROJECT / "var" / "bench-engines.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    print(f"{told['machine']['processor']}: {' '.join(told['machine']['instructions'])}", file=sys.stderr)
    print(json.dumps(told["ratios"]), f"-> {out}")


if __name__ == "__main__":
    main()
