import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, log_loss

from trainer.scores import expected_calibration_error, score


def _random(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(5, 0.3), size=n).astype(np.float32)
    labels = np.where(rng.random(n) < 0.7, probabilities.argmax(axis=1), rng.integers(0, 5, n))
    return probabilities, labels


def test_figures_agree_with_sklearns():
    probabilities, labels = _random(800)
    got = score(probabilities, labels)
    predicted = probabilities.argmax(axis=1)
    assert got.confusion == confusion_matrix(labels, predicted, labels=range(5)).tolist()
    assert got.class_average == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert got.accuracy == pytest.approx((predicted == labels).mean())
    exact = np.maximum(probabilities.astype(np.float64), 1e-12)
    assert got.nll == pytest.approx(
        log_loss(labels, exact / exact.sum(axis=1, keepdims=True), labels=range(5)), rel=1e-5
    )


def test_calibration_error_is_the_weighted_gap_of_fifteen_bins():
    probabilities, labels = _random(500, seed=1)
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    expected = 0.0
    for low in range(15):
        inside = (confidence >= low / 15) & (confidence < (low + 1) / 15) | ((low == 14) & (confidence == 1))
        if inside.any():
            expected += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    assert expected_calibration_error(probabilities, labels) == pytest.approx(expected)


def test_a_type_that_does_not_occur_has_no_recall_and_does_not_lower_the_class_average():
    probabilities = np.eye(5, dtype=np.float32)[[0, 1, 1]]
    got = score(probabilities, np.array([0, 1, 1]))
    assert got.recall == {"neutrophil": 1.0, "eosinophil": 1.0, "basophil": None, "lymphocyte": None, "monocyte": None}
    assert got.class_average == 1.0


def test_no_cells_have_no_scores():
    with pytest.raises(ValueError, match="no cells"):
        score(np.empty((0, 5), np.float32), np.empty(0, np.int64))
