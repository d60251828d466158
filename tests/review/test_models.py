"""The page of bundles: what it tells of a night, who may put a challenger into use, and how it is taken back."""

import pytest
from seeding import source_and_bundle
from sqlmodel import select

from smear.nightly_tables import PromotionRow, ScorecardRow
from smear.review_tables import AuditRow
from smear.tables import BundleRow, ServingRow, key, utc_now


CARD = {
    "champion": "wnet@0123456789ab", "challenger": "nightly-1@aaaaaaaaaaaa", "passed": True,
    "reason": "every rule is kept",
    "collected": {"new_labels": 77, "learn": 60, "judge": 17},
    "rules": [{"rule": "class average, laboratory's hold-out", "kept": True, "sentence": "80.0 % to 91.0 %"}],
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
        "77 new labels",
        "Put into use",
        "recall fell &lt;b&gt;",
    ):
        assert words in page
    assert "Put into use" not in client("jonas").get("/models").text


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
