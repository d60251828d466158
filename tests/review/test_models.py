"""The page of bundles: what it tells of a night, who may put a challenger into use, and how it is taken back."""

import sys
from datetime import timedelta

import pytest
from seeding import add_slide, source_and_bundle
from sqlmodel import select

from review.challengers import look
from review.picture import FOOT, TOP, panels
from smear.cells import CELL_TYPES
from smear.nightly_tables import PromotionRow, RunRow, ScorecardRow
from smear.review_tables import AuditRow
from smear.tables import BundleRow, ServingRow, key, utc_now


def scores(right):
    """Of 20 cells a type, so many basophils right."""
    confusion = [[20 if i == j else 0 for j in range(5)] for i in range(5)]
    confusion[2] = [20 - right, 0, right, 0, 0]
    return {"images": 100, "recall": dict.fromkeys(CELL_TYPES, 1.0) | {"basophil": right / 20}, "confusion": confusion}


CARD = {
    "champion": "wnet@0123456789ab", "challenger": "nightly-1@aaaaaaaaaaaa", "passed": True,
    "reason": "every rule is kept",
    "collected": {"new_labels": 77, "learn": 60, "judge": 17,
                  "disagreements": [{"sha256": "a", "labels": ["basophil", "monocyte"], "slides": [4711]}]},
    "doubtful": [{"sha256": "b", "slide": 4712, "label": "eosinophil", "said": "neutrophil"}],
    "parts": {"shipped hold-out": {"champion": scores(20), "challenger": scores(18)}},
    "rules": [{"rule": "class average, laboratory's hold-out", "kept": True, "sentence": "80.0 % to 91.0 %",
               "difference": [0.11, 0.05, 0.17]},
              {"rule": "calibration, shipped hold-out", "kept": True, "sentence": "0.061 to 0.060",
               "difference": [-0.001, -0.004, 0.002], "also": {"expected calibration error": [0.003, -0.012, 0.019]}}],
}  # fmt: skip


@pytest.fixture
def offered(desk):
    """A champion that serves, a challenger that passed, one that was refused; (champion, challenger) as row numbers."""
    _, champion = source_and_bundle(desk.store)
    with desk.store.write() as session:
        row = BundleRow(bundle_id="nightly-1@aaaaaaaaaaaa", folder="nightly-1", registered_at=utc_now())
        stray = BundleRow(bundle_id="stray@bbbbbbbbbbbb", folder="stray", registered_at=utc_now())
        session.add_all([row, stray, ServingRow(bundle=champion, since=utc_now())])
        session.flush()
        for night, bundle, passed, reason in (("1", row.id, True, "fine"), ("2", None, False, "recall fell <b>")):
            session.add(ScorecardRow(night=night, bundle=bundle, challenger=row.bundle_id, champion="wnet",
                                     passed=passed, reason=reason, card=CARD, at=utc_now()))  # fmt: skip
        return champion, key(row.id)


def serving(desk):
    with desk.store.read() as session:
        return session.exec(select(ServingRow.bundle)).one()


def test_the_page_shows_the_challenger_its_rules_and_what_was_refused(client, offered):
    page = client("ada").get("/models").text
    for words in (
        "nightly-1@aaaaaaaaaaaa",
        "80.0 % to 91.0 %",
        "<br>expected calibration error +0.003 (-0.012 to +0.019)",
        "77 new labels",
        "Put into use",
        "recall fell &lt;b&gt;",
    ):
        assert words in page
    assert "Put into use" not in client("jonas").get("/models").text


def test_the_scorecard_is_drawn_with_every_interval_and_what_people_should_look_at_again(client, offered):
    page = client("ada").get("/models").text
    # In words for those who do not see it; Clopper-Pearson limits of 18 in 20.
    assert "basophils champion 100.0 % (83.2 to 100.0); basophils challenger 90.0 % (68.3 to 98.8)" in page
    # Of the challenger and of the refused one, none with a style of its own: the page's headers forbid that.
    assert page.count('class="challenger"') == 10
    assert page.count('class="champion"') == 10
    assert "style=" not in page
    assert "+0.110 (+0.050 to +0.170)" in page
    assert 'basophil or monocyte: <a href="/slides/4711">' in page
    assert '<a href="/slides/4712">slide 4712</a>: labelled eosinophil, looks like a neutrophil' in page


def test_bars_stand_as_high_as_their_recall_and_a_type_that_is_not_there_has_none():
    part = {"champion": scores(20), "challenger": scores(10)}
    for who in part.values():
        who["recall"]["monocyte"], who["confusion"][4] = None, [0] * 5
    (panel,) = panels({"parts": {"laboratory's hold-out": part}})
    assert {c.cell_type for c in panel.columns} == set(CELL_TYPES) - {"monocyte"}
    half = next(c for c in panel.columns if (c.cell_type, c.who) == ("basophil", "challenger"))
    assert half.y == pytest.approx((TOP + FOOT) / 2)
    assert half.high_y < half.y < half.low_y
    assert panels({}) == []


def test_promotion_and_rollback_change_what_serves_and_stand_in_the_audit(client, desk, offered):
    champion, challenger = offered
    ada = client("ada")
    ada.form_token("/models")
    refused = ada.write(f"/models/{challenger}/promote", data={"reason": "no"})
    assert refused.status_code == 422
    assert "Say why" in refused.text
    assert serving(desk) == champion
    ada.write(f"/models/{challenger}/promote", data={"reason": "better on our slides"})
    assert serving(desk) == challenger
    assert "Roll back to wnet@0123456789ab" in ada.get("/models").text
    ada.write("/models/rollback", data={"reason": "seen too few basophils"})
    assert serving(desk) == champion
    again = ada.write("/models/rollback", data={"reason": "once more, please"})
    assert (again.status_code, "no promotion" in again.text) == (409, True)
    with desk.store.read() as session:
        lines = session.exec(select(AuditRow).where(AuditRow.action.like("%bundle"))).all()
        kinds = session.exec(select(PromotionRow.kind)).all()
    assert [(line.action, line.reason, line.who) for line in lines] == [
        ("promote bundle", "better on our slides", "ada"), ("rollback bundle", "seen too few basophils", "ada"),
    ]  # fmt: skip
    assert kinds == ["promote", "rollback"]


def test_what_passed_no_gate_is_not_put_into_use_by_a_click(client, desk, offered):
    champion, challenger = offered
    answer = client("ada").write(f"/models/{challenger + 1}/promote", data={"reason": "I want it so"})
    assert answer.status_code == 409
    assert "neither passed" in answer.text
    assert serving(desk) == champion


def test_engine_and_precision_stand_beside_the_bundle(desk, client, offered):
    add_slide(desk.store, "S-1")
    page = client("ada").get("/models").text
    assert "Engine and precision" in page
    assert 'fake fp32 <span class="muted">(1 result)</span>' in page


def test_a_rollback_from_a_page_that_shows_an_earlier_promotion_is_refused(client, desk, offered):
    import re

    _, challenger = offered
    ada, other = client("ada"), client("ada")
    ada.write(f"/models/{challenger}/promote", data={"reason": "better on our slides"})
    seen = re.search(r'name="promotion" value="(\d+)"', ada.get("/models").text)[1]
    other.write("/models/rollback", data={"reason": "seen too few basophils"})
    other.write(f"/models/{challenger}/promote", data={"reason": "it was the stain"})
    for stale in ({"promotion": seen}, {"promotion": "0"}):
        answer = ada.write("/models/rollback", data=stale | {"reason": "not good at all"})
        assert (answer.status_code, "after this page was opened" in answer.text) == (409, True)
    assert serving(desk) == challenger


@pytest.fixture
def no_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)


def test_before_the_first_night_the_page_says_what_keeps_it_from_this_host(desk, client, no_torch):
    page = client("ada").get("/models").text
    assert "No night has run yet. This host cannot learn at night: torch is not installed. Install with: " in page
    assert "-m pip install -c constraints.txt --editable &#39;.[train]&#39;" in page


def test_where_another_host_runs_nights_the_page_says_nothing_of_packages(desk, no_torch):
    with desk.store.write() as session:
        session.add(RunRow(night="2031-05-01", stage="collect", state="ended", reason="too few", created_at=utc_now()))
    with desk.store.read() as session:
        assert look(session, "02:00").sentence == "Night of 2031-05-01: too few"
    with desk.store.write() as session:
        session.exec(select(RunRow)).one().created_at = utc_now() - timedelta(days=3)
    with desk.store.read() as session:
        assert "This host cannot learn at night: torch is not installed" in look(session, "02:00").sentence
        assert look(session, "off").sentence == "Night of 2031-05-01: too few"
