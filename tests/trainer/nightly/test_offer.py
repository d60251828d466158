"""What becomes of a challenger: offered in one step, again without effect, in use only where that was asked."""

import pytest
from sqlmodel import select

from smear import bundle, promotion
from smear.audit import Actor, verify
from smear.nightly_tables import PromotionRow, ScorecardRow
from smear.review_tables import AuditRow
from smear.tables import BundleRow
from trainer.nightly.offer import AnotherThere, offer, staging_folder, withdraw
from worker.models import serving


NIGHT, NAME = "2031-05-01", "nightly-20310501"


@pytest.fixture
def challenger(settings):
    """make(temperature): the shipped network under another calibration, in the night's staging folder."""
    first = bundle.load(settings.models_folder / "wnet-pbc")

    def make(temperature=1.5, where=None, name=NAME):
        calibration = first.manifest.calibration.model_copy(update={"temperature": temperature})
        return bundle.write(
            where or staging_folder(settings.models_folder, NIGHT), name, first.network.read_bytes(), "# For tests\n",
            geometry=first.manifest.geometry, data=first.manifest.data, command="none", scores={},
            calibration=calibration, training_mix=first.manifest.training_mix, parent=first.bundle_id,
        )  # fmt: skip

    return make


def card(made, passed=True):
    reason = "every rule is kept" if passed else "basophils of the shipped hold-out fell"
    return {"passed": passed, "reason": reason, "challenger": made.bundle_id, "champion": "wnet-pbc@0"}


def rows(store, table):
    with store.read() as session:
        return list(session.exec(select(table)).all())


def test_what_passed_is_offered_once_however_often_and_serves_nobody(lab_store, settings, challenger):
    made = challenger()
    before = serving(lab_store)
    for _ in range(2):
        told = offer(lab_store, settings, NIGHT, NAME, card(made))
    assert told == {"passed": True, "reason": "every rule is kept", "challenger": made.bundle_id, "promoted": False}
    assert [row.bundle_id for row in rows(lab_store, BundleRow)][1:] == [made.bundle_id]
    assert len(rows(lab_store, ScorecardRow)) == 1
    assert serving(lab_store) == before
    assert rows(lab_store, PromotionRow) == []
    assert not staging_folder(settings.models_folder, NIGHT).exists()


def test_what_was_refused_leaves_its_scorecard_alone(lab_store, settings, challenger):
    made = challenger()
    compiled = settings.engines_folder / made.bundle_id / "openvino" / "int8"
    compiled.mkdir(parents=True)
    offer(lab_store, settings, NIGHT, NAME, card(made, passed=False))
    assert [row.passed for row in rows(lab_store, ScorecardRow)] == [False]
    assert len(rows(lab_store, BundleRow)) == 1
    assert sorted(path.name for path in settings.models_folder.iterdir()) == ["wnet-pbc"]
    assert not compiled.exists()


def test_auto_puts_what_passed_into_use_with_a_line_in_the_audit_and_never_what_was_refused(
    lab_store, settings, challenger
):
    auto = settings.model_copy(update={"promote": "auto"})
    first, _ = serving(lab_store)
    made = challenger()
    assert not offer(lab_store, auto, "2031-04-30", NAME, card(made, passed=False))["promoted"]
    assert serving(lab_store)[0] == first
    assert offer(lab_store, auto, NIGHT, NAME, card(made))["promoted"]
    offer(lab_store, auto, NIGHT, NAME, card(made))
    assert serving(lab_store)[0] == made.bundle_id
    (line,) = rows(lab_store, AuditRow)
    assert (line.action, line.who, line.bundle) == ("promote bundle", "nightly fine-tune", made.bundle_id)
    assert "WNET_PROMOTE=auto" in line.reason
    assert verify(lab_store).problem is None
    with lab_store.read() as session:
        assert promotion.to_undo(session) is not None


def test_a_stage_that_is_done_again_does_not_undo_what_a_person_did_since(lab_store, settings, challenger):
    from smear.audit import Actor

    auto = settings.model_copy(update={"promote": "auto"})
    first, _ = serving(lab_store)
    made = challenger()
    offer(lab_store, auto, NIGHT, NAME, card(made))
    promotion.rollback(lab_store, Actor(None, "ada", "administrator"), "too few basophils")
    assert not offer(lab_store, auto, NIGHT, NAME, card(made))["promoted"]
    assert serving(lab_store)[0] == first


def test_another_bundle_in_its_place_is_never_offered_in_its_name(lab_store, settings, challenger):
    challenger(temperature=3.0, where=settings.models_folder)
    made = challenger()
    with pytest.raises(AnotherThere, match="holds nightly-20310501@"):
        offer(lab_store, settings, NIGHT, NAME, card(made))
    assert len(rows(lab_store, BundleRow)) == 1
    assert rows(lab_store, ScorecardRow) == []


def test_old_challengers_that_nobody_put_into_use_go_and_their_scorecards_stay(lab_store, settings, challenger):
    settings = settings.model_copy(update={"nightly_keep": 2})
    made = []
    for day in range(1, 6):
        night, name = f"2031-05-0{day}", f"nightly-2031050{day}"
        staging = staging_folder(settings.models_folder, night)
        made.append(challenger(1 + day / 10, where=staging, name=name))
        offer(lab_store, settings, night, name, card(made[-1]))
    (settings.engines_folder / made[1].bundle_id).mkdir(parents=True)
    first = next(row for row in rows(lab_store, BundleRow) if row.bundle_id == made[0].bundle_id)
    promotion.promote(lab_store, first.id, Actor(None, "maria", "administrator"), "better on our own slides")
    promotion.rollback(lab_store, Actor(None, "maria", "administrator"), "only to see it work")
    assert withdraw(lab_store, settings) == [made[2].bundle_id, made[1].bundle_id]
    left = {row.bundle_id for row in rows(lab_store, BundleRow)}
    assert left == {bundle.load(settings.models_folder / "wnet-pbc").bundle_id} | {made[i].bundle_id for i in (0, 3, 4)}
    assert {p.name for p in settings.models_folder.glob("nightly-*")} == {f"nightly-2031050{day}" for day in (1, 4, 5)}
    assert not (settings.engines_folder / made[1].bundle_id).exists()
    cards = {one.challenger: one for one in rows(lab_store, ScorecardRow)}
    assert [cards[one.bundle_id].bundle is None for one in made] == [False, True, True, False, False]
    assert all(one.passed for one in cards.values())
    assert withdraw(lab_store, settings) == []
