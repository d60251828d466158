"""Tango's test on the same cells: published values, its limits, and that it neither sleeps nor cries wolf."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from smear.paired import LEVEL, Paired, paired


@pytest.mark.parametrize(("n", "lost", "won"), [(44, 1, 0), (38, 3, 2), (200, 16, 2), (60, 0, 4)])
def test_the_score_is_that_of_the_likelihood_maximised_under_the_margin(n, lost, won):
    def likelihood(q, d):
        rest = n - lost - won
        return -(lost * np.log(q + d) + won * np.log(q) + rest * np.log(1 - 2 * q - d))

    for margin in (0.01, 0.05):
        found = minimize_scalar(likelihood, (1e-12, (1 - margin) / 2 - 1e-12), args=(margin,), method="bounded",
                                bounds=(1e-12, (1 - margin) / 2 - 1e-12), options={"xatol": 1e-12})  # fmt: skip
        deviation = np.sqrt(n * (2 * found.x + margin - margin**2))
        expected = norm.sf((lost - won - n * margin) / deviation)
        assert Paired(n, lost, won).p_worse(margin) == pytest.approx(expected, abs=1e-4)


def test_a_margin_at_the_upper_limit_is_as_unlikely_as_the_limits_say():
    low, high = Paired(200, 16, 2).limits()
    assert Paired(200, 16, 2).p_worse(low) == pytest.approx(0.025, abs=1e-6)
    assert Paired(200, 16, 2).p_worse(high) == pytest.approx(0.975, abs=1e-6)
    assert Paired(200, 2, 16).limits() == (pytest.approx(-high), pytest.approx(-low))


def test_it_counts_who_was_right_alone():
    champion, challenger = np.array([1, 1, 0, 1, 0], bool), np.array([1, 0, 1, 0, 0], bool)
    assert paired(champion, challenger) == Paired(5, lost=2, won=1)
    assert Paired(5, 2, 1).loss == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("n", "lost", "won", "worse"),
    [(38, 1, 0, False), (38, 6, 0, True), (200, 4, 3, False), (200, 16, 2, True), (0, 0, 0, False), (50, 50, 0, True)],
)
def test_a_loss_beyond_the_margin_is_found_and_chance_is_not(n, lost, won, worse):
    assert (Paired(n, lost, won).p_worse(0.01) < LEVEL) == worse


def test_the_power_grows_with_the_cells_and_false_alarms_stay_rare():
    powers = [Paired(n, n // 50, n // 50).power(0.01) for n in (30, 200, 1500)]
    assert powers == sorted(powers)
    assert powers[0] < 0.6
    assert powers[-1] > 0.95
    # A true loss of exactly the margin is called worse about as often as the level says.
    assert Paired(1500, 30, 30).power(0.01, loss=0.01) < 0.08


def test_all_limits_contain_what_was_found():
    for n, lost, won in ((10, 0, 0), (10, 10, 0), (10, 0, 10), (500, 3, 9)):
        pair = Paired(n, lost, won)
        low, high = pair.limits()
        assert -1 <= low <= pair.loss <= high <= 1
