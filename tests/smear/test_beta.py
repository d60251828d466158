"""Our own quantiles of the beta distribution, against scipy's."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betainc, betaincinv

from smear.beta import incomplete_beta, inverse_incomplete_beta, root


TAIL = (1 - 0.95) / 2
sizes = st.floats(min_value=1e-3, max_value=5000)


@pytest.mark.parametrize("total", [*range(1, 121), 150, 200])
def test_every_exact_limit_of_a_slide_is_scipys(total):
    for count in range(1, total + 1):
        for a, b, share in ((count, total - count + 1, TAIL), (total - count + 1, count, 1 - TAIL)):
            assert inverse_incomplete_beta(a, b, share) == pytest.approx(float(betaincinv(a, b, share)), rel=1e-10)


@pytest.mark.parametrize("total", [1000, 10_000, 1_000_000])
def test_limits_of_many_cells_are_scipys(total):
    for count in {1, 2, total // 1000, total // 50, total // 3, total // 2, total - 1, total}:
        found = inverse_incomplete_beta(count, total - count + 1, TAIL)
        assert found == pytest.approx(float(betaincinv(count, total - count + 1, TAIL)), rel=1e-8)


@given(sizes, sizes, st.floats(min_value=0.001, max_value=0.999))
def test_numbers_of_cells_that_are_not_whole_are_scipys_too(a, b, share):
    assert inverse_incomplete_beta(a, b, share) == pytest.approx(float(betaincinv(a, b, share)), rel=1e-8, abs=1e-12)


@given(sizes, sizes, st.floats(min_value=0, max_value=1))
def test_the_incomplete_beta_function_is_scipys(a, b, x):
    assert incomplete_beta(a, b, x) == pytest.approx(float(betainc(a, b, x)), rel=1e-8, abs=1e-12)


def test_a_root_is_found_to_the_last_digit():
    assert root(lambda x: 2 - x * x, 0, 2) == pytest.approx(math.sqrt(2), rel=1e-15)
