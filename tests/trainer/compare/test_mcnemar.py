import numpy as np
import pytest

from trainer.compare.mcnemar import holm, mcnemar


def _answers(both: int, only_first: int, only_second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    first = [True] * both + [True] * only_first + [False] * only_second + [False] * neither
    second = [True] * both + [False] * only_first + [True] * only_second + [False] * neither
    return np.array(first), np.array(second)


def test_the_exact_test_agrees_with_a_value_computed_by_hand():
    got = mcnemar(*_answers(50, 1, 9, 3))
    # Two tails of ten fair coins: 2 (1 + 10) / 1024.
    assert (got.only_first, got.only_second, got.p) == (1, 9, pytest.approx(22 / 1024))


def test_networks_that_never_disagree_are_not_told_apart():
    assert mcnemar(*_answers(5, 0, 0, 2)).p == 1.0


def test_an_even_split_has_p_one():
    assert mcnemar(*_answers(5, 4, 4, 2)).p == 1.0


def test_holms_correction_agrees_with_a_value_computed_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holms_correction_never_exceeds_one_and_takes_nothing():
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
