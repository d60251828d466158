"""Against scipy's exact interval, and against Ruemke's table as laboratories know it."""

import pytest
from scipy.stats import binomtest

from smear.cells import CELL_TYPES
from smear.differential import differential, exact_limits


def counts(*numbers):
    return dict(zip(CELL_TYPES, numbers, strict=True))


@pytest.mark.parametrize("total", [1, 2, 50, 99, 100, 200, 1000])
def test_limits_are_the_exact_binomial_ones(total):
    for count in {0, 1, total // 20, total // 3, total // 2, total - 1, total}:
        exact = binomtest(count, total).proportion_ci(confidence_level=0.95, method="exact")
        assert exact_limits(count, total) == pytest.approx((100 * exact.low, 100 * exact.high), abs=1e-9)


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [
        (0, 100, 0, 3.6), (1, 100, 0, 5.4), (5, 100, 1.6, 11.3), (30, 100, 21.2, 40.0), (60, 100, 49.7, 69.7),
        (0, 200, 0, 1.8), (2, 200, 0.1, 3.6), (10, 200, 2.4, 9.0), (120, 200, 52.9, 66.8),
    ],
)  # fmt: skip
def test_limits_are_those_of_ruemkes_table(count, total, low, high):
    assert tuple(round(limit, 1) for limit in exact_limits(count, total)) == (low, high)


@pytest.mark.parametrize(("count", "total"), [(-1, 10), (11, 10), (0, 0)])
def test_what_is_no_proportion_is_refused(count, total):
    with pytest.raises(ValueError, match="no proportion"):
        exact_limits(count, total)


def told(*numbers):
    return differential(counts(*numbers), min_cells=50, low_count_cells=100)


def test_counts_become_percentages_of_what_was_classified():
    found = told(120, 5, 1, 60, 14)
    assert found.counts == counts(120, 5, 1, 60, 14)
    assert found.percent == counts(60.0, 2.5, 0.5, 30.0, 7.0)
    assert found.ci95["neutrophil"] == (52.9, 66.8)
    assert found.remark is None


@pytest.mark.parametrize(
    ("total", "remark"), [(0, "withheld"), (49, "withheld"), (50, "low count"), (99, "low count"), (100, None)]
)
def test_few_cells_are_withheld_then_marked(total, remark):
    found = told(total, 0, 0, 0, 0)
    assert found.remark == remark
    assert (found.percent is None) == (found.ci95 is None) == (remark == "withheld")
    assert found.counts["neutrophil"] == total


def test_nothing_at_all_is_withheld_even_where_one_cell_would_do():
    assert differential({}, min_cells=1, low_count_cells=1).remark == "withheld"


def test_types_are_in_order_and_complete_whatever_was_counted():
    found = differential({"monocyte": 60}, min_cells=50, low_count_cells=100)
    assert list(found.counts) == list(found.percent) == list(found.ci95) == list(CELL_TYPES)
