"""Judging a finished bundle, or a run that is still under way, on a labelled data folder."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch

from smear import bundle
from smear.bundle import BadBundle
from smear.decision import UNCALIBRATED, Calibration, softmax
from smear.geometry import Profile, profile
from smear.labelled import Pixels
from trainer import export, reference
from trainer.scores import Scores, score


@dataclass(frozen=True)
class Subject:
    """What is judged: an ONNX file's bytes or path, its calibration, and the geometry it was trained with."""

    network: bytes | Path
    calibration: Calibration
    geometry: Profile


def open_subject(path: Path) -> Subject:
    """A bundle's folder, or a checkpoint's file (its averaged weights, uncalibrated); raises BadBundle."""
    if not path.is_file():
        found = bundle.load(path)
        return Subject(found.network, found.manifest.calibration, profile(found.manifest.geometry))
    try:
        saved = torch.load(path, weights_only=True)
        geometry = profile(json.loads(saved["identity"])["geometry"])
        return Subject(export.network_bytes(saved["state"]["average"]), UNCALIBRATED, geometry)
    except Exception as error:
        raise BadBundle(f"{path} is neither a bundle's folder nor a checkpoint of trainer fit") from error


def evaluate(subject: Subject, pixels: Pixels) -> Scores:
    """The subject's scores over these cells, its probabilities calibrated as a worker would."""
    logits, _ = reference.answers(subject.network, pixels.images)
    return score(softmax(logits, subject.calibration.temperature), pixels.labels)
