from trainer.compare.mcnemar import McNemar
from trainer.compare.verdict import Shift, p_text, verdict
from trainer.resample import Interval


def _shift(value: float, low: float, high: float) -> Shift:
    return Shift(90.0, 90.0 + value, Interval(value, low, high))


def test_two_measures_that_disagree_settle_nothing():
    text = verdict("a", "b", _shift(1.0, -0.2, 2.0), _shift(1.0, 0.2, 2.0), McNemar(10, 30, 0.003))
    assert "not settled" in text


def test_better_in_one_figure_and_worse_in_the_other_is_said():
    text = verdict("a", "b", _shift(2.0, 1.0, 3.0), _shift(-1.0, -2.0, -0.5), McNemar(30, 10, 0.003))
    assert "not in one direction" in text
    assert "-1.0 points of accuracy" in text


def test_small_p_values_are_not_written_as_nought():
    assert p_text(0.0) == "p < 0.001"
    assert p_text(0.0344) == "p = 0.034"
