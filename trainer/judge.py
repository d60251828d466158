"""Scores of a network and its calibration: on labelled cells, and on cells from outside the five."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from sklearn.metrics import roc_auc_score

from smear.decision import Calibration, OutsideScore, decide, outside_scores
from smear.geometry import Profile, prepare
from smear.labelled import PICTURE_SUFFIXES, BadDataFolder
from smear.pictures import MisfitPicture, UnreadablePicture
from trainer.reference import Images
from trainer.scores import Floats, Labels, score


_BLUR_PX: Final = 1.5


@dataclass(frozen=True)
class OutsideSet:
    """Cells from outside the five, prepared: images (N, 128, 128, 3) uint8 and the kind of each."""

    images: Images
    kinds: list[str]


def read_outside(folder: Path, geometry: Profile) -> OutsideSet:
    """`folder/<kind>/<picture>`, whatever the kinds are called; raises BadDataFolder where no picture can be used."""
    if not folder.is_dir():
        raise BadDataFolder(f"no folder at {folder}")
    images, kinds = [], []
    for path in sorted(p for p in folder.glob("*/*") if p.suffix.lower() in PICTURE_SUFFIXES):
        try:
            images.append(prepare(path.read_bytes(), geometry))
        except (UnreadablePicture, MisfitPicture):
            continue
        kinds.append(path.parent.name)
    if not images:
        raise BadDataFolder(f"{folder} holds no picture that fits the profile {geometry.name}")
    return OutsideSet(np.stack(images), kinds)


def out_of_focus(images: Images) -> Images:
    """The pictures blurred by a Gaussian of sigma 1.5 px at 128 px: what a badly focused camera would give."""
    return np.stack([np.asarray(cv2.GaussianBlur(image, (0, 0), _BLUR_PX), np.uint8) for image in images])


def judge(logits: Floats, labels: Labels, calibration: Calibration) -> dict[str, Any]:
    """Scores as `trainer evaluate --json` prints them, and the share of these true cells called outside the five."""
    decisions = decide(logits, calibration)
    scores = score(decisions.probabilities, labels).as_json()
    return scores | {"called_outside": round(float(decisions.outside.mean()), 6)}


def judge_outside(outside: Floats, kinds: list[str], inside: Floats, calibration: Calibration) -> dict[str, Any]:
    """How well the detector tells cells from outside (logits (N, 5)) from those of the five (logits (M, 5)).

    `recall` is the share of each kind called outside at the bundle's threshold; `auroc` the areas under the receiver
    operating characteristic of both scores, over all kinds; 0.5 would be chance.
    """
    called = decide(outside, calibration).outside
    of_kind = np.array(kinds)
    return {
        "images": len(kinds),
        "recall": {k: round(float(called[of_kind == k].mean()), 4) for k in sorted(set(kinds))},
        "auroc": {
            name: round(separation(outside, inside, calibration.temperature, name), 4)
            for name in ("max-probability", "energy")
        },
    }


def separation(outside: Floats, inside: Floats, temperature: float, score_name: OutsideScore) -> float:
    """Area under the receiver operating characteristic of one score: outside cells against cells of the five."""
    scores = [outside_scores(logits, temperature, score_name) for logits in (outside, inside)]
    truth = np.repeat([1, 0], [len(outside), len(inside)])
    return float(roc_auc_score(truth, np.concatenate(scores)))
