"""From trained weights to a bundle: export, calibrate, judge, write the card."""

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import TypeAdapter, ValidationError

from smear import bundle, shipped
from smear.bundle import Bundle, BundleName, DataSet
from smear.cells import CELL_TYPES
from smear.decision import Calibration, OutsideScore
from smear.files import real
from smear.geometry import Profile, profile
from smear.labelled import Pixels, data_sha256, load_pixels, read_folder
from smear.plain import PlainError
from trainer import export, reference
from trainer.calibrate import CHOSEN_SCORE, calibrate
from trainer.card import Facts, card
from trainer.checkpoint import Checkpoint
from trainer.fit import Weights
from trainer.judge import OutsideSet, judge, judge_outside, out_of_focus, read_outside
from trainer.recipes import BEST, FINETUNE, RECIPES, Recipe, shortened
from trainer.training_set import Choice, TrainingSet


class BadOrder(PlainError):
    """A bundle that cannot be made as ordered; its text is the reason."""


@dataclass(frozen=True)
class Order:
    """What is to be made: the bundle `out`/`name`, from which data folder, how, and what else to judge it on.

    `elsewhere` is a data folder of another laboratory's cut cells, `outside` one of cells outside the five
    (`DIR/<kind>/`); the network is never trained on either. `replay` is a data folder whose cells are trained on beside
    those of `data`; `cross_validated` what the bundle is to tell of a cross-validation of its recipe, which lies in
    `cv`.
    """

    verb: Literal["fit", "finetune"]
    out: Path
    name: str
    data: Path
    geometry: Profile
    recipe: Recipe
    seed: int = 0
    init: Bundle | None = None
    elsewhere: Path | None = None
    outside: Path | None = None
    replay: Path | None = None
    skip_unusable: bool = False
    cross_validated: dict[str, Any] | None = None
    cv: Path | None = None

    @property
    def command(self) -> str:
        """The command that makes the bundle again; folders by name alone, as hosts keep them at different places."""
        options: dict[str, object] = {
            "data": _name_of(self.data),
            "replay": _name_of(self.replay) if self.replay else None,
            "recipe": _recipe_given(self),
            "name": self.name,
            "geometry": self.geometry.name,
            "epochs": self.recipe.epochs,
            "seed": self.seed,
            "init": self.init.manifest.name if self.init else None,
            "elsewhere": _name_of(self.elsewhere) if self.elsewhere else None,
            "outside": _name_of(self.outside) if self.outside else None,
            "cv": _name_of(self.cv) if self.cv else None,
        }
        across = self.init is not None and self.init.manifest.geometry != self.geometry.name
        words = ["trainer", self.verb, *(f"--{k} {v}" for k, v in options.items() if v is not None)]
        return " ".join(words + ["--across-geometries"] * across + ["--skip-unusable"] * self.skip_unusable)


@dataclass(frozen=True)
class Others:
    """What a network is judged on beside its own data set."""

    elsewhere: Pixels | None
    outside: OutsideSet | None


def read_others(order: Order) -> Others:
    """Read the order's further folders; raises BadDataFolder. Another laboratory's pictures are cut cells, so whole."""
    elsewhere = load_pixels(read_folder(order.elsewhere), profile("whole")) if order.elsewhere else None
    return Others(elsewhere, read_outside(order.outside, order.geometry) if order.outside else None)


def check_name(out: Path, name: str) -> None:
    """Raise BadOrder, before anything costly, for a name that a bundle cannot have or that is taken, and for a place
    where none can be written.
    """
    there = next(folder for folder in (out, *out.absolute().parents) if os.path.lexists(folder))
    if not there.is_dir():
        raise BadOrder(f"{there} is no folder")
    if not os.access(there, os.W_OK):
        raise BadOrder(f"nothing can be written into {there}")
    try:
        TypeAdapter(BundleName).validate_python(name)
    except ValidationError:
        raise BadOrder(
            f"{name!r} cannot be a bundle's name: lower-case letters, digits, dots, dashes and underscores, at most 63"
        ) from None
    if (out / name).exists():
        raise BadOrder(f"{out / name} is there already; a bundle is never edited, choose another name")


def check_cross_validated(order: Order) -> None:
    """Raise BadOrder where the cross-validation whose scores the bundle is to tell was of another recipe."""
    told = order.cross_validated
    if told is not None and (told["recipe"], told["epochs"]) != (order.recipe.name, order.recipe.epochs):
        raise BadOrder(
            f"the cross-validation is of recipe {told['recipe']} for {told['epochs']} epochs, the bundle's is"
            f" {order.recipe.name} for {order.recipe.epochs}: its scores say nothing of it"
        )


def check_init(init: Bundle | None, geometry: Profile, across: bool) -> None:
    """Raise BadOrder for a bundle whose pictures were cut in another way, unless that is wanted; BadBundle for one
    whose network is no W-Net.
    """
    if init is None:
        return
    export.weights_from_bundle(init)
    if init.manifest.geometry != geometry.name and not across:
        raise BadOrder(
            f"{init.bundle_id} was trained with geometry {init.manifest.geometry}, not {geometry.name}; add"
            " --across-geometries if its weights are to be trained on cells that are cut in another way"
        )


def checkpoint_of(order: Order, data: TrainingSet) -> Checkpoint:
    """Where the run keeps its state until the bundle is written."""
    identity = {
        "name": order.name,
        "data_sha256": data_sha256(data.cells),
        "geometry": order.geometry.name,
        "recipe": asdict(order.recipe),
        "seed": order.seed,
        "init": order.init.bundle_id if order.init else None,
    }
    return Checkpoint(order.out / f".{order.name}.fit" / "checkpoint.pt", json.dumps(identity, sort_keys=True))


def produce(order: Order, choice: Choice, data: TrainingSet, weights: Weights, others: Others) -> Bundle:
    """Export, calibrate on the inner split, judge every part through the ONNX file, and write the bundle."""
    network = export.network_bytes(weights)
    inner_logits, _ = reference.answers(network, data.inner.images)
    calibration = calibrate(inner_logits, data.inner.labels)
    scores: dict[str, Any] = {"inner": judge(inner_logits, data.inner.labels, calibration)}
    if order.cross_validated is not None:
        scores["cross_validation"] = order.cross_validated

    def judged(pixels: Pixels) -> dict[str, Any]:
        return judge(reference.answers(network, pixels.images)[0], pixels.labels, calibration)

    holdout = shipped_holdout()
    scores["holdout"] = judged(holdout)
    scores["holdout_out_of_focus"] = judged(replace(holdout, images=out_of_focus(holdout.images)))
    if choice.holdout:
        scores["holdout_originals"] = judged(load_pixels(choice.holdout, order.geometry))
    if others.elsewhere and order.elsewhere:
        scores["elsewhere"] = judged(others.elsewhere) | {"data": _name_of(order.elsewhere), "geometry": "whole"}
    if others.outside:
        outside_logits, _ = reference.answers(network, others.outside.images)
        scores["outside"] = judge_outside(outside_logits, others.outside.kinds, inner_logits, calibration)
    return bundle.write(
        order.out,
        order.name,
        network,
        card(_facts(order, choice, data, calibration, scores)),
        geometry=order.geometry.name,
        data=DataSet(name=_data_name(order), sha256=data_sha256(data.cells), images=len(data.cells)),
        command=order.command,
        recipe=asdict(order.recipe) | {"seed": order.seed},
        scores=scores,
        calibration=calibration,
        training_mix={t: round(n / len(data.train.labels), 6) for t, n in _counts(data.train).items()},
        parent=order.init.bundle_id if order.init else None,
    )


def recalibrate(
    parent: Bundle, out: Path, name: str, pixels: Pixels, *, data: Path, score: OutsideScore = CHOSEN_SCORE
) -> Bundle:
    """A new bundle: the parent's network, with temperature and threshold fitted on these cells."""
    network, data_name = parent.network.read_bytes(), _name_of(data)
    logits, _ = reference.answers(network, pixels.images)
    calibration = calibrate(logits, pixels.labels, score)
    scores = judge(logits, pixels.labels, calibration) | {"data": data_name, "geometry": parent.manifest.geometry}
    note = (
        f"# {name}\n\nThe network of {parent.bundle_id}, its temperature ({calibration.temperature}) and outside"
        f" threshold ({calibration.outside.threshold:.4f}) fitted again on {len(pixels.labels)} pictures of"
        f" `{data_name}`. Its parent's card follows.\n\n"
    )
    return bundle.write(
        out,
        name,
        network,
        note + (parent.folder / bundle.MODEL_CARD).read_text(encoding="utf-8"),
        geometry=parent.manifest.geometry,
        data=parent.manifest.data,
        command=f"trainer calibrate {parent.manifest.name} --data {data_name} --name {name}",
        recipe=parent.manifest.recipe,
        scores={"calibrated_on": scores},
        calibration=calibration,
        training_mix=parent.manifest.training_mix,
        parent=parent.bundle_id,
        limits=parent.manifest.limits,
    )


def shipped_holdout() -> Pixels:
    """The shipped hold-out: 128 px pictures, so whole. Raises FileNotFoundError where it is not installed."""
    return load_pixels(read_folder(shipped.folder("holdout")), profile("whole"))


def _name_of(folder: Path) -> str:
    return real(folder).name


def _recipe_given(order: Order) -> str | None:
    """What `--recipe` has to say, None where the command's own is meant."""
    own = {"fit": BEST.name, "finetune": FINETUNE.name}[order.verb]
    name = order.recipe.name
    return None if name == own else name if name in RECIPES else f"{name}.json"


def _data_name(order: Order) -> str:
    return " and ".join(_name_of(folder) for folder in (order.data, order.replay) if folder)


def _counts(pixels: Pixels) -> dict[str, int]:
    return {t: int(n) for t, n in zip(CELL_TYPES, np.bincount(pixels.labels, minlength=5), strict=True)}


def _facts(order: Order, choice: Choice, data: TrainingSet, calibration: Calibration, scores: dict[str, Any]) -> Facts:
    return Facts(
        name=order.name,
        data_name=_data_name(order),
        trained_on=_counts(data.train),
        inner=len(data.inner.labels),
        excluded=len(choice.holdout) + choice.samples,
        geometry=order.geometry.name,
        command=order.command,
        calibration=calibration,
        scores=scores,
        parent=order.init.bundle_id if order.init else None,
        shortened=shortened(order.recipe),
    )
