import numpy as np
import pytest
from pydantic import ValidationError
from scipy.special import logsumexp
from scipy.special import softmax as reference

from smear.decision import UNCALIBRATED, Calibration, OutsideDetector, decide, outside_scores, softmax


@pytest.fixture
def logits():
    return np.random.default_rng(1).normal(0, 8, (500, 5)).astype(np.float32)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_probabilities_are_the_softmax_at_a_temperature(logits, temperature):
    found = softmax(logits, temperature)
    assert found.dtype == np.float32
    assert found == pytest.approx(reference(logits / np.float64(temperature), axis=1), abs=1e-6)
    assert found.sum(axis=1) == pytest.approx(1, abs=1e-6)


def test_huge_logits_overflow_nowhere():
    extreme = np.array([[3e38, -3e38, 0, 0, 0], [1e4, 1e4, 0, 0, 0]], np.float32)
    assert softmax(extreme).tolist() == [[1, 0, 0, 0, 0], [0.5, 0.5, 0, 0, 0]]
    assert np.isfinite(outside_scores(extreme, 1.0, "energy")).all()


def test_scores_grow_with_strangeness(logits):
    assert outside_scores(logits, 2.0, "energy") == pytest.approx(
        -2 * logsumexp(logits / np.float64(2), axis=1), rel=1e-6
    )
    assert outside_scores(logits, 1.0, "max-probability") == pytest.approx(1 - softmax(logits).max(axis=1))
    sure, torn = np.array([[20, 0, 0, 0, 0]], np.float32), np.array([[1, 1, 1, 1, 1]], np.float32)
    for score in ("energy", "max-probability"):
        assert outside_scores(torn, 1.0, score) > outside_scores(sure, 1.0, score)


def test_a_cell_at_the_threshold_counts_as_outside():
    torn = np.array([[0, 0, -99, -99, -99]], np.float32)
    for threshold, outside in ((0.5, True), (0.500001, False)):
        calibration = Calibration(temperature=1, outside=OutsideDetector(score="max-probability", threshold=threshold))
        assert decide(torn, calibration).outside.tolist() == [outside]


def test_an_uncalibrated_network_calls_nothing_outside(logits):
    found = decide(logits, UNCALIBRATED)
    assert not found.outside.any()
    assert np.array_equal(found.types, logits.argmax(axis=1))


def test_no_cells_are_decided_without_a_word():
    found = decide(np.empty((0, 5), np.float32), UNCALIBRATED)
    assert (found.probabilities.shape, found.types.shape, found.outside.shape) == ((0, 5), (0,), (0,))


@pytest.mark.parametrize("temperature", [0, -1, float("nan")])
def test_a_senseless_temperature_is_refused(temperature):
    with pytest.raises(ValidationError):
        Calibration(temperature=temperature, outside=OutsideDetector(score="energy", threshold=0))
