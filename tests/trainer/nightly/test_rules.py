"""The gate's rules, each on cells where it is kept and on cells where it is broken."""

import numpy as np
import pytest

from smear.decision import UNCALIBRATED
from trainer.nightly import rules
from trainer.nightly.rules import Part


LABELS = np.repeat(np.arange(5), 100)


def logits(wrong=(), sure=6.0):
    """Right on every cell but those."""
    made = np.eye(5, dtype=np.float32)[LABELS] * sure
    made[list(wrong)] = np.roll(made[list(wrong)], 1, axis=1)
    return made


def part(champion, challenger):
    return Part("set", LABELS, champion, challenger, [None] * len(LABELS))


def broken(verdicts):
    return [verdict.rule for verdict in verdicts if not verdict.kept]


def test_a_type_that_is_read_worse_breaks_the_rule_and_one_that_lost_a_cell_does_not():
    assert broken(rules.recall_rules(part(logits(), logits([1])))) == []
    worse = list(rules.recall_rules(part(logits(), logits(range(200, 212)))))
    assert broken(worse) == ["recall of basophils, set"]
    told = worse[2].as_json()
    assert "more than 1 point worse" in told["sentence"]
    assert (told["lost"], told["won"], told["difference"][0]) == (12, 0, pytest.approx(-0.12))
    assert told["difference"][1] < -0.12 < told["difference"][2] < 0
    assert 0 < told["power"] < 1


def test_the_class_average_must_rise():
    assert rules.better(part(logits([1, 2]), logits([1]))).kept
    assert not rules.better(part(logits([1]), logits([1]))).kept


def test_small_losses_do_not_add_up_over_many_nights():
    first = logits()
    assert rules.anchored(part(logits([1]), logits([1, 2])), first).kept
    # Beside the champion it is one cell; beside the first of the line three.
    assert not rules.anchored(part(logits([1, 2]), logits([1, 2, 3])), first).kept


def test_probabilities_that_are_worse_break_the_rule():
    unsure, sure = logits(range(0, 500, 10), sure=2.0), logits(range(0, 500, 10), sure=12.0)
    assert rules.calibrated(part(sure, unsure), UNCALIBRATED, UNCALIBRATED).kept
    worse = rules.calibrated(part(unsure, sure), UNCALIBRATED, UNCALIBRATED)
    assert not worse.kept
    before, after = worse.told["ece"]
    change, low, high = worse.told["also"]["expected calibration error"]
    assert change == pytest.approx(after - before)
    assert low < change < high
    same = rules.calibrated(part(sure, sure), UNCALIBRATED, UNCALIBRATED)
    assert same.told["also"]["expected calibration error"] == [0, 0, 0]


def test_becoming_surer_of_cells_without_a_type_breaks_the_rule():
    doubtful, sure = logits(sure=1.0)[:60], logits(sure=5.0)[:60]
    kept = rules.outside(sure, doubtful, UNCALIBRATED, UNCALIBRATED)
    assert kept.kept
    assert kept.told["also"]["called outside"] == [0, 0, 0]
    assert not rules.outside(doubtful, sure, UNCALIBRATED, UNCALIBRATED).kept


def test_labels_that_are_surely_contradicted_are_told_where_there_are_enough_of_them():
    assert rules.consistent(LABELS, logits(range(20))).kept
    verdict = rules.consistent(LABELS, logits(range(100)))
    assert not verdict.kept
    assert (
        "of the night's 500 labels to learn from, what learned them contradicts 100, of these 100 surely"
        in verdict.sentence
    )
    # One of ten is as many, and may be chance.
    assert rules.consistent(LABELS[:10], logits([0])[:10]).kept
    # So are a hundred hard cells of which the network is not sure.
    assert rules.consistent(LABELS, logits(range(100), sure=1.5)).kept
    assert rules.consistent(LABELS[:0], logits()[:0]).kept


def relabelled(labels, new, old, other):
    """All new cells of one type called another."""
    return np.where(new & (labels == old), other, labels)


def test_a_type_that_is_called_another_from_one_night_on_is_told_though_it_be_rare():
    labels = np.repeat(np.arange(5), (100, 60, 12, 80, 60)).repeat(2)
    new = np.arange(len(labels)) % 2 == 1
    truth = np.eye(5, dtype=np.float32)[labels] * 6
    said = relabelled(labels, new, old=2, other=4)
    verdict = rules.as_before(said, truth, new)
    assert not verdict.kept
    assert "12 of 12 new cells that look like basophils are contradicted, 0 of 12 earlier ones" in verdict.sentence
    # A network that believes the new words contradicts the earlier ones instead.
    believed = np.eye(5, dtype=np.float32)[np.where(labels == 2, 4, labels)] * 6
    verdict = rules.as_before(said, believed, new)
    assert not verdict.kept
    assert "0 of 72 new cells that look like monocytes are contradicted, 12 of 72 earlier ones" in verdict.sentence
    assert rules.as_before(labels, truth, new).kept


def test_a_difference_that_is_certain_but_small_is_no_other_way_of_reading():
    labels, new = np.repeat(np.arange(5), 2000), np.arange(10_000) % 2 == 1
    learned = np.eye(5, dtype=np.float32)[labels] * 6
    some = np.flatnonzero(new & (labels == 2))
    learned[some[:50]] = np.roll(learned[some[:50]], 1, axis=1)
    verdict = rules.as_before(labels, learned, new)
    assert verdict.kept
    assert min(asked["p"] for asked in verdict.told["asked"]) < rules.UNLIKE_LEVEL
    learned[some[50:150]] = np.roll(learned[some[50:150]], 1, axis=1)
    assert not rules.as_before(labels, learned, new).kept


def test_labels_as_before_are_kept_where_chance_or_no_earlier_label_explains_it():
    labels, new = LABELS, np.arange(len(LABELS)) % 2 == 1
    some = np.flatnonzero(new & (labels == 2))[:3]
    assert rules.as_before(labels, logits(some), new).kept
    alone = rules.as_before(labels, logits(range(250)), np.ones(len(labels), np.bool_))
    assert alone.kept
    assert alone.sentence == "there are no earlier labels to compare the night's with"


def test_a_form_that_differs_and_a_network_that_is_slower_are_told():
    form = {"name": "openvino-int8", "reasons": ["it loses 0.01"]}
    built = {"engine": "openvino-bf16", "forms": [form], "reasons": [],
             "images_per_second": {"champion": 1000.0, "challenger": 880.0}, "turns": [0.9, 0.85, 0.95]}  # fmt: skip
    assert not rules.compiled(built).kept
    assert rules.compiled(built | {"forms": []}).kept
    assert not rules.throughput(built).kept
    assert rules.throughput(built).told["share"] == [0.9, 0.85, 0.95]
    assert rules.throughput(built | {"images_per_second": {"champion": 1000.0, "challenger": 910.0}}).kept


def test_every_score_of_a_scorecard_has_its_limits():
    wrong = [*range(0, 500, 10)]
    told = rules.scores_of(part(logits(wrong), logits()), UNCALIBRATED, UNCALIBRATED)
    before, after = told["champion"], told["challenger"]
    for name in ("class_average", "accuracy", "nll", "ece"):
        low, high = before["limits"][name]
        assert low < before[name] < high, name
    low, high = before["limits"]["recall"]["basophil"]
    # Of 100, 90 right: Clopper and Pearson's limits.
    assert (before["recall"]["basophil"], round(low, 3), round(high, 3)) == (0.9, 0.824, 0.951)
    assert after["limits"]["recall"]["basophil"][1] == 1
    assert after["limits"]["recall"]["basophil"][0] == pytest.approx(0.964, abs=0.001)


def test_a_type_without_a_cell_has_no_limits():
    some = LABELS != 2
    few = Part("set", LABELS[some], logits()[some], logits()[some], [None] * int(some.sum()))
    assert rules.scores_of(few, UNCALIBRATED, UNCALIBRATED)["champion"]["limits"]["recall"]["basophil"] is None
