import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.metrics import roc_auc_score

from smear.decision import decide, outside_scores
from trainer.calibrate import FALSE_ALARMS, calibrate, fit_temperature, negative_log_likelihood
from trainer.judge import judge_outside, separation


def _overconfident(n: int, temperature: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits `temperature` times as large as those the labels were drawn from."""
    rng = np.random.default_rng(seed)
    honest = rng.normal(0, 2, size=(n, 5))
    labels = (honest + rng.gumbel(size=(n, 5))).argmax(axis=1)
    return (honest * temperature).astype(np.float32), labels


@pytest.mark.parametrize("true_temperature", [0.6, 1.0, 2.5])
def test_the_temperature_undoes_overconfidence(true_temperature):
    logits, labels = _overconfident(20_000, true_temperature)
    assert fit_temperature(logits, labels) == pytest.approx(true_temperature, rel=0.03)


def test_no_temperature_on_a_grid_is_better():
    logits, labels = _overconfident(400, 1.7, seed=3)
    doubt = 1 / 402
    best = negative_log_likelihood(logits, labels, fit_temperature(logits, labels), doubt)
    for temperature in np.linspace(0.3, 4.5, 200):
        assert best <= negative_log_likelihood(logits, labels, temperature, doubt) + 1e-6


def test_the_likelihood_is_scipys():
    logits, labels = _overconfident(300, 1.3)
    own = log_softmax(logits.astype(np.float64) / 1.9, axis=1)[np.arange(300), labels]
    assert negative_log_likelihood(logits, labels, 1.9) == pytest.approx(-own.mean())


@pytest.mark.parametrize("score", ["max-probability", "energy"])
def test_half_a_per_cent_of_true_cells_are_called_outside(score):
    logits, labels = _overconfident(10_000, 1.0)
    called = decide(logits, calibrate(logits, labels, score)).outside
    assert called.mean() == pytest.approx(FALSE_ALARMS, abs=2e-4)


def test_nothing_is_calibrated_on_no_cells():
    with pytest.raises(ValueError, match="no cells"):
        calibrate(np.empty((0, 5), np.float32), np.empty(0, np.int64))


def test_separation_is_the_share_of_pairs_in_the_right_order():
    inside, _ = _overconfident(60, 3.0)
    outside, _ = _overconfident(40, 1.0, seed=9)
    high, low = (outside_scores(logits, 1.2, "energy") for logits in (outside, inside))
    pairs = (high[:, None] > low[None, :]).mean() + 0.5 * (high[:, None] == low[None, :]).mean()
    assert separation(outside, inside, 1.2, "energy") == pytest.approx(pairs)
    truth = np.repeat([1, 0], [40, 60])
    assert pairs == pytest.approx(roc_auc_score(truth, np.concatenate([high, low])))


def test_cells_outside_are_reported_by_kind():
    inside, labels = _overconfident(2000, 4.0)
    calibration = calibrate(inside, labels, "max-probability")
    outside = np.vstack([np.zeros((3, 5)), np.tile([50.0, 0, 0, 0, 0], (2, 1))]).astype(np.float32)
    found = judge_outside(outside, ["flat"] * 3 + ["sure"] * 2, inside, calibration)
    assert found["recall"] == {"flat": 1.0, "sure": 0.0}
    assert found["images"] == 5


def test_few_cells_without_a_mistake_do_not_make_the_network_certain():
    labels = np.arange(60) % 5
    logits = 3 * np.eye(5, dtype=np.float32)[labels]
    scaled = logits / fit_temperature(logits, labels)
    surest = np.exp(scaled.max(1)) / np.exp(scaled).sum(1)
    # Platt (1999): of N cells (N + 1) / (N + 2).
    assert surest == pytest.approx(61 / 62, abs=1e-3)
