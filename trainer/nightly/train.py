"""Stage `train`: from the champion, on the laboratory's cells beside replayed ones, to a challenger's bundle."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from smear import bundle
from smear.bundle import Bundle, DataSet
from smear.cells import CELL_TYPES
from smear.labelled import LabelledCell, Pixels, data_sha256
from smear.runs import OF_A_NIGHT, Enough
from smear.settings import Settings
from trainer import export, reference
from trainer.calibrate import calibrate, fit_temperature
from trainer.card import Facts, card
from trainer.checkpoint import Checkpoint, DamagedCheckpoint, OtherRun
from trainer.fit import Weights, logits_of
from trainer.judge import judge
from trainer.learning import BrokeOff, Epoch
from trainer.nightly import snapshot
from trainer.nightly.base import base_cells
from trainer.nightly.learner import NIGHTLY, Budget, Night, NightSet
from trainer.nightly.snapshot import LabCells
from trainer.options import device_of
from trainer.recipes import Recipe
from trainer.training_set import TrainingSet


#: Replayed cells come at least this often for every one of the laboratory's, as far as repeating them reaches.
_REPLAYED_PER_NEW: Final = 0.6
_MOST_REPEATS: Final = 4
#: How far the challenger goes from what nights began with towards what was learned, in the space of weights: four to
#: six tenths have most of the gain on new pictures and little of the loss on old ones (Wortsman et al., 2022; LOG.md).
OF_THE_WAY: Final = 0.5
#: Whole slides make the inner split where they have so many cells, and not more than half; else single cells do.
_LEAST_INNER: Final = 10


def train(
    settings: Settings,
    night: str,
    champion: Bundle,
    first: Bundle,
    folder: Path,
    staging: Path,
    *,
    recipe: Recipe = NIGHTLY,
    on_epoch: Callable[[Epoch], object] = lambda _: None,
) -> dict[str, Any]:
    """Make the challenger's bundle in `staging`; what the next stages must know. Raises Enough, NoBase,
    NoSnapshot, BadOrder.

    It learns from the champion on, and then stands between what was learned and `first`, with which the nights of this
    laboratory began. Broken off, it goes on from its last epoch; a bundle that is there already was finished so.
    """
    name = challenger_name(night)
    if (staging / name / bundle.MANIFEST).is_file() and (folder / snapshot.OPINIONS).is_file():
        made = bundle.load(staging / name)
        return {"folder": name, "bundle": made.bundle_id, "champion": champion.bundle_id} | made.manifest.scores
    shutil.rmtree(staging / name, ignore_errors=True)
    device = device_of(settings.nightly_device)
    collected = snapshot.load(folder)
    base = base_cells(settings.base_data, champion)
    weights = export.weights_from_bundle(champion)
    data = night_set(collected.learn, base, recipe.inner_share, lambda pixels: logits_of(weights, pixels))
    run = Night(recipe, data, seed_of(night), weights, device)
    identity = {
        "night": night,
        "champion": champion.bundle_id,
        "recipe": asdict(recipe),
        "cells": collected.learn.sha256,
        "apart": hashlib.sha256(data.data.inner.images.tobytes()).hexdigest(),
        "device": device,
    }
    checkpoint = Checkpoint(folder / "checkpoint.pt", json.dumps(identity, sort_keys=True))
    before = 0.0
    if (state := _left(checkpoint)) is not None:
        before = float(state.pop("seconds", 0.0))
        run.restore(state)
    budget = Budget(settings.nightly_minutes, before=before)
    spent = before > 0 and budget.spent()
    while run.epochs_done < recipe.epochs and not run.stale and not spent:
        try:
            epoch = run.run_epoch()
        except BrokeOff as broke:  # it would again
            checkpoint.path.unlink(missing_ok=True)
            raise Enough(f"nothing was learned: {broke}") from None
        checkpoint.save(run.state() | {"seconds": budget.seconds})
        on_epoch(epoch)
        spent = budget.spent()
    if run.best_epoch == 0:
        checkpoint.path.unlink(missing_ok=True)
        raise Enough("nothing was learned: on the labels kept apart no epoch was better than the champion")
    # The rules on the labels ask what learned them whole.
    inner = data.data.inner
    temperature = np.float32(fit_temperature(logits_of(run.best, inner), inner.labels))
    opinions = [logits_of(run.best, _all(part)) / temperature for part in (collected.learn, collected.judge)]
    snapshot.save_opinions(folder, *opinions)
    run.best = between(export.weights_from_bundle(first), run.best)
    made = _write(run, data, collected.learn, base, champion, first, name, staging, spent=spent)
    checkpoint.path.unlink(missing_ok=True)
    return {"folder": name, "bundle": made.bundle_id, "champion": champion.bundle_id} | made.manifest.scores


def _left(checkpoint: Checkpoint) -> dict[str, Any] | None:
    """What an earlier attempt left to go on from; one of another device, or torn, is begun anew."""
    try:
        return checkpoint.load()
    except (DamagedCheckpoint, OtherRun):
        checkpoint.path.unlink(missing_ok=True)
        return None


def challenger_name(night: str) -> str:
    """`2031-05-01.2` -> `nightly-20310501.2`."""
    return f"{OF_A_NIGHT}{night.replace('-', '')}"


def seed_of(night: str) -> int:
    """Keys every random number of a night."""
    return int.from_bytes(hashlib.sha256(night.encode()).digest()[:4], "big")


def between(first: Weights, learned: Weights) -> Weights:
    """The challenger's weights: so far from the first of the line towards what was learned."""
    return {name: value.lerp(learned[name].cpu(), OF_THE_WAY) for name, value in first.items()}


def night_set(
    lab: LabCells, base: Pixels, inner_share: float, champion: Callable[[Pixels], npt.NDArray[np.float32]]
) -> NightSet:
    """The laboratory's cells and the replayed ones, an inner split of both kept apart; slides are never split."""
    apart = _inner_slides(lab, inner_share)
    base_apart = _inner_base(base, inner_share)
    old_train, old_inner = _rows(base, ~base_apart), _rows(base, base_apart)
    new_train, new_inner = _pixels(lab, ~apart), _pixels(lab, apart)
    wanted = _REPLAYED_PER_NEW * len(new_train.labels) / max(len(old_train.labels), 1)
    repeats = max(1, min(_MOST_REPEATS, round(wanted)))
    parts = [new_train, *[old_train] * repeats]
    train = Pixels(
        np.concatenate([part.images for part in parts]), np.concatenate([part.labels for part in parts]), [], []
    )
    inner = Pixels(
        np.concatenate([new_inner.images, old_inner.images]), np.concatenate([new_inner.labels, old_inner.labels]),
        [], [],
    )  # fmt: skip
    answers = champion(old_train)
    teacher = np.concatenate([np.zeros((len(new_train.labels), 5), np.float32), *[answers] * repeats])
    replayed = np.arange(len(train.labels)) >= len(new_train.labels)
    return NightSet(TrainingSet(train, inner), teacher, replayed)


def _inner_slides(lab: LabCells, share: float) -> npt.NDArray[np.bool_]:
    """Whole slides by a hash, the same every night: what a champion has learned must not judge its successor.

    Until there are slides enough for that, cells by a hash of their contents; what was learned of such slides meanwhile
    judges too afterwards, which errs against the challenger.
    """
    apart = np.array([_hashed(f"inner {slide}", share) for slide in lab.slides], np.bool_)
    if not _LEAST_INNER <= apart.sum() <= len(lab) / 2:
        apart = np.array([_hashed(f"inner {digest}", share) for digest in lab.sha256], np.bool_)
    return apart


def _hashed(what: str, share: float) -> bool:
    return int.from_bytes(hashlib.sha256(what.encode()).digest()[:8], "big") < share * 2**64


def _inner_base(base: Pixels, share: float) -> npt.NDArray[np.bool_]:
    apart = np.zeros(len(base.labels), np.bool_)
    digests = np.array([cell.sha256 for cell in base.cells])
    for t in range(len(CELL_TYPES)):
        own = np.flatnonzero(base.labels == t)
        apart[own[np.argsort(digests[own])][: round(share * len(own))]] = True
    return apart


def _rows(pixels: Pixels, mask: npt.NDArray[np.bool_]) -> Pixels:
    cells = [cell for cell, own in zip(pixels.cells, mask, strict=True) if own]
    return Pixels(pixels.images[mask], pixels.labels[mask], cells, [])


def _pixels(lab: LabCells, mask: npt.NDArray[np.bool_]) -> Pixels:
    return Pixels(lab.images[mask], lab.labels[mask], [], [])


def _all(lab: LabCells) -> Pixels:
    return _pixels(lab, np.ones(len(lab), np.bool_))


def _write(
    run: Night,
    data: NightSet,
    lab: LabCells,
    base: Pixels,
    champion: Bundle,
    first: Bundle,
    name: str,
    staging: Path,
    *,
    spent: bool,
) -> Bundle:
    """Export, calibrate on the inner split, write the bundle; what it says of itself is the inner split alone."""
    network = export.network_bytes({name: value.cpu() for name, value in run.best.items()})
    inner = data.data.inner
    logits, _ = reference.answers(network, inner.images)
    calibration = calibrate(logits, inner.labels)
    scores = {"inner": judge(logits, inner.labels, calibration)} | {
        "epochs": run.epochs_done, "kept_epoch": run.best_epoch, "out_of_time": spent, "device": run.device
    }  # fmt: skip
    learned = [
        LabelledCell(Path(digest), CELL_TYPES[t], digest) for digest, t in zip(lab.sha256, lab.labels, strict=True)
    ]
    cells = learned + base.cells
    by_type = np.bincount(data.data.train.labels, minlength=len(CELL_TYPES))
    mix: dict[str, int] = {t: int(n) for t, n in zip(CELL_TYPES, by_type, strict=True)}
    command = f"trainer nightly (of {name}, from {champion.manifest.name}, half-way back to {first.manifest.name})"
    facts = Facts(
        name=name, data_name="the laboratory's signed labels and the replayed base", trained_on=mix,
        inner=len(inner.labels), excluded=0, geometry=champion.manifest.geometry, command=command,
        calibration=calibration, scores={"inner": scores["inner"]}, parent=champion.bundle_id, shortened=None,
    )  # fmt: skip
    recipe = asdict(run.recipe) | {"seed": run.seed, "between": first.bundle_id, "of_the_way": OF_THE_WAY}
    return bundle.write(
        staging, name, network, card(facts), geometry=champion.manifest.geometry,
        data=DataSet(name="laboratory and base", sha256=data_sha256(cells), images=len(cells)), command=command,
        recipe=recipe, scores=scores, calibration=calibration,
        training_mix={t: round(n / sum(mix.values()), 6) for t, n in mix.items()}, parent=champion.bundle_id,
        limits=champion.manifest.limits,
    )  # fmt: skip
