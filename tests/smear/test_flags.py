"""Flags: absolute first, relative on per cent only, borderline where the interval spans the limit."""

import pytest

from smear.cells import CELL_TYPES
from smear.differential import differential
from smear.flags import absolute, flags
from smear.intervals import ADULT, BadIntervals, load_intervals


def found(counts, wbc=None):
    made = differential(dict(zip(CELL_TYPES, counts, strict=True)), min_cells=50, low_count_cells=100)
    return [(f["flag"], f["basis"], f["certain"]) for f in flags(made.percent, made.ci95, ADULT, wbc)]


def test_a_usual_differential_has_none():
    assert found((60, 3, 1, 30, 6)) == []
    assert found((60, 3, 1, 30, 6), 6.5) == []


def test_the_white_count_decides_where_it_is_known():
    # 15 % of 2.0 is no eosinophilia; 60 % of 2.0 is a neutropenia.
    assert found((60, 15, 0, 20, 5), 2.0) == [("neutropenia", "absolute", True), ("lymphopenia", "absolute", True)]
    assert found((60, 15, 0, 20, 5)) == [("relative eosinophilia", "relative", True)]
    assert found((90, 2, 0, 6, 2), 30.0)[0] == ("neutrophilia", "absolute", True)


def test_a_limit_inside_the_interval_is_borderline():
    assert found((41, 2, 0, 45, 12)) == [
        ("relative lymphocytosis", "relative", False), ("relative monocytosis", "relative", False),
    ]  # fmt: skip


def test_nothing_is_flagged_or_multiplied_where_the_percentages_are_withheld():
    assert found((20, 9, 0, 0, 0)) == []
    assert absolute(None, 5.0) is None
    assert absolute(dict.fromkeys(CELL_TYPES, 20.0), None) is None
    assert absolute(dict.fromkeys(CELL_TYPES, 20.0), 5.0) == dict.fromkeys(CELL_TYPES, 1.0)


def test_a_laboratorys_own_intervals_are_read_and_versioned(tmp_path):
    file = tmp_path / "intervals.json"
    file.write_text(ADULT.model_dump_json().replace('"adult"', '"ours"').replace("[40.0,80.0]", "[35.0,75.0]"))
    ours = load_intervals(file)
    assert ours.percent["neutrophil"] == (35, 75)
    assert ours.version.startswith("ours@")
    assert ours.version.split("@")[1] != ADULT.version.split("@")[1]
    assert load_intervals(None) is ADULT


@pytest.mark.parametrize(("content", "words"), [
    ("rubbish", "Invalid JSON"),
    (ADULT.model_dump_json().replace("[40.0,80.0]", "[80.0,40.0]"), "80.0 to 40.0 is no interval"),
    (ADULT.model_dump_json().replace("monocyte", "dragon"), "it needs exactly neutrophil"),
])  # fmt: skip
def test_intervals_that_are_none_are_refused_in_one_sentence(tmp_path, content, words):
    file = tmp_path / "intervals.json"
    file.write_text(content)
    with pytest.raises(BadIntervals, match=words) as refused:
        load_intervals(file)
    assert str(refused.value).startswith("WNET_INTERVALS: ")
    with pytest.raises(BadIntervals, match="No such file"):
        load_intervals(tmp_path / "none")
