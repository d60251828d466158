"""The published figures: a promise is kept, not kept or not measured, and nothing is called kept that is not there."""

from nightly_publish import published


MONTH = {"summary": {"lab_before": 0.81, "rise_after_10_points": 9.2, "base_deepest_fall_points": 0.6}}


def of(**parts):
    found = dict.fromkeys(("month_pbc", "month_chula", "poisoned", "load")) | parts
    return {one["promise"].split(",")[0]: one for one in published(found)["promises"]}


def test_what_was_not_measured_is_told_as_that():
    told = of()
    assert len(told) == 8
    assert {one["kept"] for one in told.values()} == {None}
    # A month that was broken off before its tenth night says nothing of it.
    assert of(month_pbc={"nights": []})["points gained there after 10 nights"]["kept"] is None
    short = {"summary": MONTH["summary"] | {"rise_after_10_points": None}}
    assert of(month_pbc=short)["points gained there after 10 nights"]["kept"] is None


def test_each_promise_is_held_against_its_figure():
    told = of(
        month_pbc=MONTH,
        poisoned={"kinds": {"wrong": {"nights": 20, "refused": 19}, "relabelled": {"nights": 20, "refused": 18},
                            "clean": {"nights": 7, "refused": 0}}},
        load={"night_seconds": 900, "slides": {"slower": 0.11}},
    )  # fmt: skip
    assert [one["kept"] for one in told.values()] == [True, True, False, True, False, None, True, False]
    wrong = told["share of nights refused with 20 % wrong labels"]
    assert wrong["measured"] == 0.95
    assert (wrong["ci95"][0] < 0.76, wrong["ci95"][1] > 0.99) == (True, True)
