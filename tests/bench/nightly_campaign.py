"""`make nightly-campaign`: poisoned and clean nights of equal size before the gate. Broken off, it goes on.

A night of new labels on top of earlier, clean ones, in the laboratory of the demonstration; the champion is its base.
Clean; a fifth of the new labels wrong; all new cells of one type called another. Wrong labels are wrong in the
laboratory's hold-out too, as they would be. The rules on compiled forms and throughput are taken as kept: the network's
shape never changes. Writes var/nightly-demo/campaign.json.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

import numpy as np


sys.path.insert(0, str(Path(__file__).parent))

from laboratory import LABORATORY, Cell, base_folder, halves, pixels, slides
from nightly_demo import PROJECT, alone, choose_strength, train_base

from smear import bundle
from smear.cells import CELL_TYPES
from smear.runs import Enough
from smear.settings import Settings
from trainer import provenance
from trainer.memory import keep_freed
from trainer.nightly import rules, snapshot
from trainer.nightly.judge import judge
from trainer.nightly.labels import in_holdout
from trainer.nightly.snapshot import LabCells, Snapshot
from trainer.nightly.train import OF_THE_WAY, train


#: Under which limits a night was judged, and how far its challenger had gone.
GATE = {name.lower(): getattr(rules, name) for name in (
    "RECALL_MARGIN", "ANCHOR_MARGIN", "NLL_MARGIN", "OUTSIDE_MARGIN", "CONTRADICTED", "UNLIKE_EARLIER", "UNLIKE_LEVEL",
    "LEVEL")} | {"of_the_way": OF_THE_WAY}  # fmt: skip
KINDS = ("clean", "wrong", "relabelled")
BUILT = {"engine": "not built", "forms": [], "reasons": [], "images_per_second": {"champion": 1.0, "challenger": 1.0},
         "turns": [1.0, 1.0, 1.0]}  # fmt: skip


def main() -> None:
    """Every kind and seed that has no result yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=PROJECT.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=PROJECT / "var" / "nightly-demo")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--labels", type=int, default=300)
    parser.add_argument("--earlier", type=int, default=400)
    parser.add_argument("--epochs", type=int, default=20, help="Of the base model.")
    asked = parser.parse_args()
    alone()
    keep_freed()
    root = asked.out.absolute()
    root.mkdir(parents=True, exist_ok=True)
    base_cells, lab_cells = halves(asked.data)
    base = train_base(root, base_folder(base_cells, root / "base-data"), asked.epochs)
    cells = [Cell(c.path, c.cell_type, None) for c in lab_cells]
    strength = choose_strength(root, base, cells)
    images, labels = pixels(cells, strength)
    results = root / "campaign"
    results.mkdir(parents=True, exist_ok=True)
    for seed in range(asked.seeds):
        for kind in KINDS:
            path = results / f"{kind}-{asked.labels}-{seed}.json"
            if not path.is_file() or of_others(json.loads(path.read_text()), base, asked):
                told = one(root, base, cells, images, labels, kind, seed, asked)
                told |= belongs(base, asked)
                path.write_text(json.dumps(told, indent=1) + "\n")
                print(kind, seed, "refused" if told["refused"] else "passed", told["reason"][:150], flush=True)
    summary(root, results, asked, base)


def of_others(told: dict, base: bundle.Bundle, asked) -> bool:
    """Whether a result is of another base, laboratory or other earlier nights: not to be counted among these."""
    return any(told.get(name) != value for name, value in belongs(base, asked).items())


def belongs(base: bundle.Bundle, asked) -> dict:
    """What a result must share with others to be counted with them."""
    return {"base": base.bundle_id, "earlier": asked.earlier, "laboratory": LABORATORY, "gate": GATE}


def one(root, base, cells, images, labels, kind, seed, asked) -> dict:
    """One night before the gate: whether it was refused, and why."""
    rng = np.random.default_rng([7, seed])
    index = {id(cell): i for i, cell in enumerate(cells)}
    drawn = slides(cells, 20, seed=1000 + seed)
    chosen = list(drawn)[: (asked.labels + asked.earlier) // 20]
    row, slide, new = [], [], []
    for number, name in enumerate(chosen):
        row += [index[id(cell)] for cell in drawn[name]]
        slide += [number] * len(drawn[name])
        new += [number >= asked.earlier // 20] * len(drawn[name])
    rows, slide_of, is_new = np.array(row), np.array(slide), np.array(new)
    said = poisoned(labels[rows], is_new, kind, rng)
    held = np.array([in_holdout(f"{seed}/{chosen[s]}") for s in slide_of])
    both = LabCells(images[rows], said, slide_of, is_new, tuple(f"{r:064}" for r in rows))
    facts = {
        "new_labels": int(is_new.sum()),
        "learn": int((~held).sum()),
        "judge": int(held.sum()),
        "disagreements": [],
    }
    folder = root / "campaign" / "at-work"
    shutil.rmtree(folder, ignore_errors=True)
    snapshot.save(folder, Snapshot(both.take(~held), both.take(held), facts))
    settings = Settings(_env_file=None, var=root / "campaign-var")
    night = f"{kind}-{seed}"
    try:
        made = train(settings, night, base, base, folder, folder / "staging")
    except Enough as enough:
        return {"kind": kind, "seed": seed, "refused": True, "reason": str(enough), "rules": []}
    card = judge(folder, base, bundle.load(folder / "staging" / made["folder"]), base, BUILT)
    shutil.rmtree(folder, ignore_errors=True)
    broken = [rule["rule"] for rule in card["rules"] if not rule["kept"]]
    doubted = next(rule for rule in card["rules"] if "share" in rule)
    return {"kind": kind, "seed": seed, "refused": not card["passed"], "reason": card["reason"], "broken": broken,
            "surely_contradicted": doubted["share"][0],
            "contradicted": doubted["contradicted"] / doubted["cells"], "parts": card["parts"]}  # fmt: skip


def poisoned(labels: np.ndarray, new: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """The labels as people would have given them."""
    said = labels.copy()
    if kind == "wrong":
        wrong = rng.permutation(np.flatnonzero(new))[: round(0.2 * new.sum())]
        said[wrong] = (said[wrong] + rng.integers(1, len(CELL_TYPES), len(wrong))) % len(CELL_TYPES)
    elif kind == "relabelled":
        one_type = int(rng.integers(len(CELL_TYPES)))
        other = int((one_type + rng.integers(1, len(CELL_TYPES))) % len(CELL_TYPES))
        said[new & (labels == one_type)] = other
    return said


def summary(root: Path, results: Path, asked, base: bundle.Bundle) -> None:
    """How many of each kind were refused."""
    told = {"labels": asked.labels, "earlier": asked.earlier, "base": base.bundle_id, "commit": provenance.commit(),
            "host": provenance.host("cpu"), "gate": GATE, "kinds": {}}  # fmt: skip
    for kind in KINDS:
        found = [json.loads(p.read_text()) for p in sorted(results.glob(f"{kind}-{asked.labels}-*.json"))]
        found = [told_of for told_of in found if not of_others(told_of, base, asked)]
        if found:
            told["kinds"][kind] = {
                "nights": len(found), "refused": sum(one["refused"] for one in found),
                "contradicted": sorted(one["contradicted"] for one in found if "contradicted" in one),
                "surely_contradicted": sorted(one["surely_contradicted"] for one in found if "contradicted" in one),
                "broken": {rule: sum(rule in one.get("broken", []) for one in found)
                           for rule in sorted({r for one in found for r in one.get("broken", [])})},
            }  # fmt: skip
    (root / "campaign.json").write_text(json.dumps(told, indent=1) + "\n")
    print(json.dumps({kind: (one["refused"], one["nights"]) for kind, one in told["kinds"].items()}), flush=True)


if __name__ == "__main__":
    main()
