"""`make nightly-demo`: a simulated month. A base model meets a laboratory whose pictures look different.

Everything is real but the laboratory: signed slides in a database, kept pictures, `trainer nightly`'s own stages, the
gate, promotion. Broken off, the same command goes on. Writes var/nightly-demo/demo-SET.json and .png.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from laboratory import LABORATORY, STRENGTHS, Cell, base_folder, halves, picture, pixels, slides
from sqlmodel import select

from engine_build.nightly import build_night
from smear import bundle, promotion
from smear.audit import Actor
from smear.labelled import read_folder
from smear.nightly_tables import ScorecardRow
from smear.picture_store import PictureStore
from smear.review_tables import UserRow
from smear.settings import Settings
from smear.store import Store, migrate
from smear.tables import utc_now
from trainer import produce, provenance, reference
from trainer.memory import keep_freed
from trainer.nightly.labels import in_holdout
from trainer.nightly.night import Nightly
from trainer.nightly.night import told as told_of
from trainer.report.ink import figure, plain, png
from worker.models import register, serving


PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "tests" / "trainer" / "nightly"))

from lab import signed_slide  # noqa: E402 - the same laboratory as in the tests


FIRST_DAY = date(2031, 5, 1)
#: The base must reach no more than this in the laboratory, and no less: so strong is the shift chosen, once.
AT_MOST, AT_LEAST = 0.85, 0.70


def main() -> None:
    """Train the base, then night after night."""
    asked = arguments()
    alone()
    keep_freed()
    root = asked.out.absolute()
    root.mkdir(parents=True, exist_ok=True)
    base_cells, lab_cells = halves(asked.data)
    base = train_base(root, base_folder(base_cells, root / "base-data"), asked.epochs)
    strength = None
    cells = [Cell(c.path, c.cell_type, None) for c in lab_cells]
    if asked.set == "pbc":
        strength = choose_strength(root, base, cells)
    else:
        cells = [Cell(c.path, c.cell_type, c.group) for c in read_folder(asked.data / "chula")]
    month(root, asked, base, cells, strength)


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=PROJECT.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=PROJECT / "var" / "nightly-demo")
    parser.add_argument("--set", choices=("pbc", "chula"), default="pbc")
    parser.add_argument("--nights", type=int, default=30)
    parser.add_argument("--labels", type=int, default=80, help="New labels a night.")
    parser.add_argument("--epochs", type=int, default=20, help="Of the base model.")
    parser.add_argument("--minutes", type=float, default=12.0, help="Training a night, at most.")
    return parser.parse_args()


def alone() -> None:
    """Forget the settings of whoever calls: the month is simulated in a database of its own."""
    for name in [name for name in os.environ if name.startswith("WNET_")]:
        del os.environ[name]


def train_base(root: Path, data: Path, epochs: int) -> bundle.Bundle:
    """`trainer fit` on one half of the public set; interrupted, it goes on."""
    name = f"base-{epochs}"
    if not (root / "base" / name / bundle.MANIFEST).is_file():
        call = [
            sys.executable,
            "-c",
            "from trainer.cli import main; main()",
            "fit",
            "--data",
            str(data),
            "--name",
            name,
        ]
        call += ["--out", str(root / "base"), "--epochs", str(epochs), "--threads", "1"]
        subprocess.run(call, check=True)
    return bundle.load(root / "base" / name)


def choose_strength(root: Path, base: bundle.Bundle, cells: list[Cell]) -> int:
    """The weakest shift under which the base is right on at most so many of 300 cells; kept once chosen."""
    kept = root / "strength.json"
    if kept.is_file():
        return int(json.loads(kept.read_text())["strength"])
    some = cells[:: max(1, len(cells) // 300)]
    tried = []
    for strength in range(len(STRENGTHS)):
        tried.append(class_average(base, *pixels(some, strength)))
        print(f"shift {strength}: base {100 * tried[-1]:.1f} %", flush=True)
        if tried[-1] <= AT_MOST:
            break
    if not AT_LEAST <= tried[-1] <= AT_MOST:
        sys.exit(f"no shift takes the base to between {AT_LEAST:.0%} and {AT_MOST:.0%}: {tried}")
    kept.write_text(json.dumps({"strength": len(tried) - 1, "tried": tried}))
    return len(tried) - 1


def class_average(which: bundle.Bundle, images: np.ndarray, labels: np.ndarray) -> float:
    """Mean recall over the types there are."""
    right = reference.answers(which.network, images)[0].argmax(1) == labels
    return float(np.mean([right[labels == t].mean() for t in np.unique(labels)]))


def month(root: Path, asked: argparse.Namespace, base: bundle.Bundle, cells: list[Cell], strength: int | None) -> None:
    """The nights, each: slides are signed, the night runs, what passed is promoted, all is measured."""
    where = root / asked.set
    settings = Settings(
        _env_file=None, var=where, nightly_minutes=asked.minutes, nightly_min_labels=min(50, asked.labels)
    )
    store = Store(settings.database)
    migrate(store, where / "migrate.lock")
    if serving(store) is None:
        target = settings.models_folder / base.folder.name
        if not target.exists():
            shutil.copytree(base.folder, target)
        register(store, bundle.load(target))
    all_slides = slides(cells, 20, seed=1)
    held = [cell for name, own in all_slides.items() if in_holdout(f"default/{name}") for cell in own]
    images, labels = pixels(held, strength)
    shipped = produce.shipped_holdout()
    result = root / f"demo-{asked.set}.json"
    told = json.loads(result.read_text()) if result.is_file() else begin(asked, base, strength, len(held))
    ours = {"base": base.bundle_id, "labels_a_night": asked.labels, "laboratory": LABORATORY}
    if any(told.get(name) != value for name, value in ours.items()):
        sys.exit(f"{result} holds a month with another base, laboratory or number of labels: choose another --out")
    names = list(all_slides)
    per_night = max(1, asked.labels // max(1, round(len(cells) / len(names))))
    if not told["nights"]:
        told["nights"].append(measured(0, base, images, labels, shipped) | {"outcome": "before the first night"})
    pictures = PictureStore(settings.pictures_folder)
    for number in range(len(told["nights"]), asked.nights + 1):
        new = names[(number - 1) * per_night : number * per_night]
        if not new:
            break
        for name in new:
            if not known(store, name):
                signed_slide(
                    store, pictures, name, [(picture(cell, strength), cell.cell_type) for cell in all_slides[name]]
                )
        began = time.monotonic()
        day = FIRST_DAY + timedelta(days=number)
        night = Nightly(store, settings, lambda n: build_night(store, settings, n)).run(day, again=False)
        # None: broken off between the night's end and its line here.
        night = night or told_of(store, day.isoformat())
        promote(store, night.night)
        at_work = serving(store)
        assert at_work is not None
        row = measured(number, bundle.load(settings.models_folder / at_work[1]), images, labels, shipped)
        told["nights"].append(row | {"outcome": night.sentence, "seconds": round(time.monotonic() - began, 1)})
        result.write_text(json.dumps(told, indent=1) + "\n")
        draw(told, result.with_suffix(".png"))
        print(f"night {number}: lab {row['lab']:.3f}, base {row['base']:.3f}; {night.sentence[:160]}", flush=True)
    summary(told)
    result.write_text(json.dumps(told, indent=1) + "\n")


def begin(asked: argparse.Namespace, base: bundle.Bundle, strength: int | None, held: int) -> dict:
    """What the figures belong to."""
    return {
        "set": asked.set, "labels_a_night": asked.labels, "laboratory": LABORATORY,
        "base": base.bundle_id, "base_epochs": asked.epochs,
        "shift": None if strength is None else {"strength": strength, "parameters": repr(STRENGTHS[strength])},
        "lab_holdout_cells": held, "commit": provenance.commit(), "host": provenance.host("cpu"),
        "date": utc_now().date().isoformat(), "nights": [],
    }  # fmt: skip


def measured(number: int, which: bundle.Bundle, images: np.ndarray, labels: np.ndarray, shipped) -> dict:
    """Class averages of what serves on the laboratory's whole hold-out, and on the shipped one."""
    return {
        "night": number, "bundle": which.bundle_id, "lab": round(class_average(which, images, labels), 5),
        "base": round(class_average(which, shipped.images, shipped.labels), 5),
    }  # fmt: skip


def known(store: Store, name: str) -> bool:
    """Whether that slide has been signed already."""
    from smear.tables import SlideRow

    with store.read() as session:
        return session.exec(select(SlideRow).where(SlideRow.slide_id == name)).first() is not None


def promote(store: Store, night: str) -> None:
    """What an administrator would do next morning with a challenger that passed."""
    with store.read() as session:
        card = session.exec(select(ScorecardRow).where(ScorecardRow.night == night)).one_or_none()
        assert session.exec(select(UserRow)).first() is not None
    if card is not None and card.bundle is not None:
        with contextlib.suppress(promotion.CannotServe):
            promotion.promote(store, card.bundle, Actor(None, "demonstration", "program"), "it passed its gate")


def summary(told: dict) -> None:
    """What the issue asks: the rise within ten nights, the deepest fall of the base."""
    nights = told["nights"]
    tenth = nights[:11][-1]
    told["summary"] = {
        "lab_before": nights[0]["lab"],
        "lab_after_10": tenth["lab"] if tenth["night"] == 10 else None,
        "lab_last": nights[-1]["lab"],
        "rise_after_10_points": round(100 * (tenth["lab"] - nights[0]["lab"]), 2) if tenth["night"] == 10 else None,
        "base_before": nights[0]["base"],
        "base_deepest_fall_points": round(100 * (nights[0]["base"] - min(row["base"] for row in nights)), 2),
        "offered": sum("is offered" in row["outcome"] for row in nights),
        "refused": sum("was refused" in row["outcome"] for row in nights),
    }
    print(json.dumps(told["summary"]), flush=True)


def draw(told: dict, path: Path) -> None:
    """Both curves."""
    drawn = figure(6.4, 3.6)
    axes = drawn.add_subplot()
    nights = [row["night"] for row in told["nights"]]
    axes.plot(nights, [100 * row["lab"] for row in told["nights"]], marker="o", label="this laboratory's hold-out")
    axes.plot(nights, [100 * row["base"] for row in told["nights"]], marker="s", label="base hold-out")
    plain(axes, title=f"A simulated month ({told['set']})", x="night", y="class average (%)")
    axes.legend(frameon=False, fontsize=8)
    path.write_bytes(png(drawn))


if __name__ == "__main__":
    main()
