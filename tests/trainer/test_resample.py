import numpy as np
import pytest

from trainer.resample import interval, resample


def _cells(n: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 5, n), rng.random((n, 2)) < [0.9, 0.8]


def test_the_same_seed_draws_the_same_and_another_draws_otherwise():
    labels, right = _cells()
    first, again = (resample(labels, right, [None] * 400, resamples=200, seed=3) for _ in range(2))
    other = resample(labels, right, [None] * 400, resamples=200, seed=4)
    assert np.array_equal(first.recall, again.recall)
    assert not np.array_equal(first.recall, other.recall)


def test_draws_spread_as_a_plain_bootstrap_cell_by_cell_does():
    labels, right = _cells()
    drawn = resample(labels, right, [None] * 400, resamples=20_000)
    rng = np.random.default_rng(1)
    plain = np.zeros((4000, 5))
    for number in range(5):
        own = right[labels == number, 0]
        plain[:, number] = own[rng.integers(0, len(own), (4000, len(own)))].mean(axis=1)
    assert drawn.recall[:, 0].std(axis=0) == pytest.approx(plain.std(axis=0), rel=0.06)
    assert drawn.class_average[:, 0].std() == pytest.approx(plain.mean(axis=1).std(), rel=0.06)


def test_groups_are_drawn_whole():
    labels = np.zeros(100, np.int64)
    right = np.repeat([True, False], 50)[:, None]
    alone = resample(labels, right, [None] * 100, resamples=4000)
    together = resample(labels, right, [f"slide {i // 10}" for i in range(100)], resamples=4000)
    assert (alone.clusters, together.clusters) == (100, 10)
    assert alone.accuracy.std() == pytest.approx(0.05, rel=0.1)
    assert together.accuracy.std() == pytest.approx(0.5 / 10**0.5, rel=0.1)


def test_a_patients_cells_of_several_types_move_together():
    labels = np.tile([0, 1], 20)
    right = np.repeat(np.arange(20) < 10, 2)[:, None]
    drawn = resample(labels, right, [f"patient {i // 2}" for i in range(40)], resamples=500)
    assert drawn.recall[:, 0, 0] == pytest.approx(drawn.recall[:, 0, 1])


def test_a_cell_without_group_is_no_part_of_a_group_called_none():
    drawn = resample(np.zeros(4, np.int64), np.ones((4, 1), bool), [None, "None", "None", None], resamples=10)
    assert drawn.clusters == 3


def test_a_type_that_does_not_occur_has_no_recall_and_does_not_lower_the_average():
    drawn = resample(np.array([0, 0, 1]), np.ones((3, 1), bool), [None] * 3, resamples=10)
    assert np.isnan(drawn.recall[:, 0, 2:]).all()
    assert (drawn.class_average == 1).all()


def test_limits_are_the_percentiles_of_the_draws_that_are_numbers():
    got = interval(50.0, np.array([*range(101), np.nan], float))
    assert (got.low, got.high) == (2.5, 97.5)
    assert not interval(0.0, np.array([-1.0, 1.0])).without_zero
    assert interval(2.0, np.array([1.0, 3.0])).without_zero
