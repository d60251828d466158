"""Correction for label shift, on slides whose true mix is known because it was drawn."""

import numpy as np
import pytest

from smear.cells import CELL_TYPES
from smear.correction import corrected
from smear.differential import exact_limits


TRAINED = dict(zip(CELL_TYPES, (0.3, 0.2, 0.06, 0.26, 0.18), strict=True))
#: How a network that confuses types reads them: rows are the truth.
CONFUSION = np.array([
    [0.93, 0.02, 0.02, 0.01, 0.02], [0.04, 0.92, 0.02, 0.01, 0.01], [0.04, 0.02, 0.90, 0.02, 0.02],
    [0.01, 0.01, 0.02, 0.90, 0.06], [0.02, 0.01, 0.01, 0.06, 0.90],
])  # fmt: skip


def drawn(mix, cells, seed):
    """Calibrated probabilities, under the training mix, of cells whose types were drawn from `mix`."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(5, size=cells, p=mix)
    seen = np.array([rng.choice(5, p=CONFUSION[t]) for t in truth])
    joint = CONFUSION[:, seen].T * np.array(list(TRAINED.values()))
    return truth, joint / joint.sum(axis=1, keepdims=True)


def test_rare_types_are_no_longer_read_too_often():
    mix = np.array([0.62, 0.023, 0.004, 0.30, 0.053])
    raw, fixed = [], []
    for seed in range(40):
        _, p = drawn(mix, 200, seed)
        raw.append(np.bincount(p.argmax(axis=1), minlength=5) / 2)
        fixed.append(list(corrected(p.tolist(), TRAINED)[0].values()))
    off = np.abs(np.mean(raw, axis=0) - 100 * mix), np.abs(np.mean(fixed, axis=0) - 100 * mix)
    assert off[1][2] < off[0][2] / 2  # basophils
    assert off[1].max() < 1.0


def test_a_real_eosinophilia_is_not_erased():
    _, p = drawn(np.array([0.45, 0.25, 0.0, 0.25, 0.05]), 200, 3)
    assert 18 < corrected(p.tolist(), TRAINED)[0]["eosinophil"] < 33


def test_the_limits_hold_what_is_true_as_often_as_they_say():
    mix, held = np.array([0.55, 0.06, 0.02, 0.27, 0.10]), []
    for seed in range(120):
        _, p = drawn(mix, 150, 1000 + seed)
        limits = list(corrected(p.tolist(), TRAINED)[1].values())
        held.append([low - 0.05 <= 100 * m <= high + 0.05 for m, (low, high) in zip(mix, limits, strict=True)])
    assert np.mean(held, axis=0).min() > 0.92


def test_certain_cells_have_the_exact_binomial_limits():
    p = [[1.0, 0, 0, 0, 0]] * 60 + [[0, 0, 0, 1.0, 0]] * 40
    percent, limits = corrected(p, dict.fromkeys(CELL_TYPES, 0.2))
    assert percent["neutrophil"] == pytest.approx(60, abs=0.5)
    for cell_type, count in (("neutrophil", 60), ("lymphocyte", 40), ("basophil", 0)):
        assert limits[cell_type] == pytest.approx(exact_limits(count, 100), abs=0.8)


def test_one_cell_is_enough_to_answer():
    percent, limits = corrected([[0.2] * 5], TRAINED)
    assert sum(percent.values()) == pytest.approx(100, abs=0.5)
    assert all(0 <= low <= high <= 100 for low, high in limits.values())
