import numpy as np
import pytest

from engine_build.agreement import class_average, compare
from smear.bundle import Limits


class FakeEngine:
    name = "fake-fp32"

    def __init__(self, logits):
        self.logits = logits

    def infer(self, images):
        return self.logits[: len(images)], np.zeros((len(images), 1024), np.float32)


LABELS = np.arange(100) % 5
REFERENCE = (np.eye(5)[LABELS] * 4).astype(np.float32)
IMAGES = np.zeros((100, 128, 128, 3), np.uint8)


def test_an_engine_that_answers_as_the_reference_passes():
    found = compare(FakeEngine(REFERENCE), REFERENCE, IMAGES, LABELS, temperature=1.0)
    assert (found.largest_difference, found.type_agreement, found.class_average) == (0, 1, 1)
    assert found.images_per_second > 0
    assert found.failures(Limits()) == []


def test_one_other_type_in_a_hundred_fails_and_is_named():
    logits = REFERENCE.copy()
    logits[7] = logits[8]
    found = compare(FakeEngine(logits), REFERENCE, IMAGES, LABELS, temperature=1.0)
    assert found.type_agreement == pytest.approx(0.99)
    assert found.class_average == pytest.approx(0.99)
    types, average = found.failures(Limits())
    assert "0.9900 of the pictures" in types
    assert "0.0100 of the class average" in average


def test_an_answer_that_is_no_number_counts_as_wrong():
    logits = REFERENCE.copy()
    logits[:] = np.nan
    found = compare(FakeEngine(logits), REFERENCE, IMAGES, LABELS, temperature=1.0)
    assert (found.largest_difference, found.type_agreement, found.class_average) == (1, 0, 0)
    assert len(found.failures(Limits())) == 2


def test_the_difference_is_of_probabilities_under_the_bundles_temperature():
    found = compare(FakeEngine(REFERENCE * 0.9), REFERENCE, IMAGES, LABELS, temperature=2.0)
    before, after = (np.exp(x) / (np.exp(x) + 4) for x in (2.0, 1.8))
    assert found.largest_difference == pytest.approx(before - after, abs=1e-6)


def test_types_that_do_not_occur_do_not_count():
    assert class_average(np.eye(5, dtype=np.float32)[[0, 1, 0]], np.array([0, 1, 1])) == pytest.approx(0.75)


def test_nothing_is_compared_on_nothing():
    with pytest.raises(ValueError, match="no pictures"):
        compare(FakeEngine(REFERENCE), REFERENCE[:0], IMAGES[:0], LABELS[:0], temperature=1.0)
