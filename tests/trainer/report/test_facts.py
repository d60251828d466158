from collections.abc import Callable
from pathlib import Path

import pytest

from smear.differential import exact_limits
from trainer.report.facts import Facts, facts
from trainer.report.markdown import escape, markdown
from trainer.report.statement import beside, duration, grouping, statement
from trainer.run_folder import Grouping, Result, open_run, read_result


def _facts(run: Path) -> Facts:
    return facts(open_run(run), read_result(run))


def test_pooled_recall_comes_with_exact_limits_and_the_papers_figure(make_run: Callable[..., Path]):
    told = _facts(make_run(wrong={("basophil", 1): "monocyte", ("basophil", 2): "monocyte"}))
    basophil = told.pooled[2]
    assert (basophil.name, basophil.right, basophil.cells, basophil.paper) == ("basophil", 4, 6, 95)
    assert basophil.limits == exact_limits(4, 6)
    assert told.errors == 2
    assert told.class_average.value == pytest.approx(100 * (4 + 4 / 6) / 5)
    assert told.class_average.low < told.class_average.value <= told.class_average.high


def test_table_3_has_mean_and_deviation_over_the_folds(make_run: Callable[..., Path]):
    rows = {row.name: row for row in _facts(make_run(folds=2, wrong={("basophil", 1): "monocyte"})).rows}
    assert rows["basophil"].folds == pytest.approx((100, 200 / 3))
    assert rows["basophil"].mean == pytest.approx(250 / 3)
    assert rows["basophil"].deviation == pytest.approx(50 / 3)
    assert rows["class average"].folds == pytest.approx((100, (400 + 200 / 3) / 5))
    assert list(rows)[-2:] == ["class average", "accuracy"]


def test_a_fold_without_a_type_does_not_count_for_it(make_run: Callable[..., Path]):
    result = Result.model_validate({
        "folds": [
            {"fold": 0, "n": {}, "recall": {"neutrophil": 0.5, "basophil": None}, "accuracy": 0.5},
            {"fold": 1, "n": {}, "recall": {"neutrophil": 1.0, "basophil": 0.9}, "accuracy": 0.95},
        ],
        "seconds": 1,
    })  # fmt: skip
    rows = {row.name: row for row in facts(open_run(make_run()), result).rows}
    assert rows["basophil"].folds == (None, 90.0)
    assert (rows["basophil"].mean, rows["basophil"].deviation) == (90.0, None)
    assert rows["monocyte"].mean is None
    assert rows["class average"].folds == pytest.approx((50.0, 95.0))


def test_the_statement_tells_what_was_run(make_run: Callable[..., Path]):
    text = statement(_facts(make_run(info={"shortened": "20 of the recipe's 500 epochs"})))
    for part in ("3 folds", "16,806,949", "pbc", "abababababab", "Recipe best", "20 of the recipe's 500 epochs",
                 "seed 0", "random weights", "1.5 hours", "No slide or patient is known"):  # fmt: skip
        assert part in text


def test_a_tuning_run_is_not_told_as_a_result(make_run: Callable[..., Path]):
    told = _facts(make_run(info={"tune": True}))
    assert "A tuning run, no result: 3 folds alone trained" in statement(told)
    assert markdown(told).startswith("# Tuning run: wnet on pbc")


def test_the_same_networks_asked_otherwise_are_told_where_measured(make_run: Callable[..., Path]):
    run = make_run()
    assert not beside(_facts(run))
    more = {
        "pooled": {"single_view": {"class_average": 0.971}},
        "elsewhere": {"data": "chula", "images": 100, "class_average": 0.391, "class_average_std": 0.02},
    }
    result = Result.model_validate(read_result(run).model_dump() | more)
    text = beside(facts(open_run(run), result))
    assert "97.1 %" in text
    assert "100 cells of another laboratory (chula)" in text
    assert "39.1 %, deviation 2.0" in text


def test_known_patients_are_told_instead_of_the_warning():
    text = grouping(Grouping(metadata_groups=7, exact_duplicates=1))
    assert text == "Kept on one side of each split: 7 groups of metadata.csv, 1 exact duplicate."


@pytest.mark.parametrize(("seconds", "text"), [(12, "12 seconds"), (600, "10 minutes"), (9000, "2.5 hours")])
def test_durations_read_well(seconds: float, text: str):
    assert duration(seconds) == text


def test_markdown_takes_text_as_it_is():
    assert escape("a|b\n<i>*x*") == r"a\|b \<i\>\*x\*"


def test_the_page_has_a_row_for_each_type_and_the_papers_column(make_run: Callable[..., Path]):
    text = markdown(_facts(make_run()))
    assert "|  | Fold 0 | Fold 1 | Fold 2 | Mean | Deviation |" in text
    assert "| neutrophil | 6 of 6 | 100.0 | 54.1 to 100.0 | 98 |" in text
    assert "another data set" in text
