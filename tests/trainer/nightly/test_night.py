"""A whole night on real pictures and a real database; and what becomes of it when it dies at any of its stages."""

import json
from dataclasses import replace
from datetime import date

import pytest
from sqlmodel import select

from engine_build.nightly import build_night
from smear import bundle
from smear.nightly_tables import LabCellRow, RunRow, ScorecardRow
from smear.runs import STAGES
from smear.tables import BundleRow, ServingRow
from trainer.nightly import night as nights
from trainer.nightly.learner import NIGHTLY
from trainer.nightly.night import Nightly


TODAY, TOMORROW = date(2031, 5, 1), date(2031, 5, 2)
QUICK = replace(NIGHTLY, epochs=2, batch=32, learning_rate=1e-4)


@pytest.fixture
def nightly(lab_store, settings, small):
    def make(**values):
        return Nightly(lab_store, settings, lambda n: build_night(lab_store, settings, n), recipe=QUICK, **values)

    return make


def rows(store, table):
    with store.read() as session:
        return list(session.exec(select(table)).all())


def test_a_night_without_labels_says_how_many_are_missing(nightly, lab_store, settings):
    told = nightly().run(TODAY, again=False)
    assert told.sentence == "0 new labels, 20 needed"
    assert told.states == {"collect": "ended"} | dict.fromkeys(STAGES[1:], "waiting")
    # By schedule a date has one night; by hand as many as wanted.
    assert nightly().run(TODAY, again=False) is None
    assert nightly().run(TODAY, again=True).night == "2031-05-01.2"


@pytest.mark.timeout(900)  # half a minute on a quiet machine
def test_from_signed_labels_to_a_challenger_with_a_scorecard(nightly, laboratory, lab_store, settings):
    laboratory()
    before = rows(lab_store, ServingRow)
    told = nightly().run(TODAY, again=False)
    assert set(told.states.values()) == {"done"}, told
    (card,) = rows(lab_store, ScorecardRow)
    judged = {rule["rule"]: rule for rule in card.card["rules"]}
    # What was learned shows on slides that were never trained on.
    own = judged["class average, laboratory's hold-out"]
    assert own["challenger"] > own["champion"], told.sentence
    assert len(judged) == 19
    share, low, high = judged["throughput"]["share"]
    assert 0 < low <= share <= high
    assert low < high
    assert all(rule["sentence"] for rule in judged.values())
    assert card.passed == all(rule["kept"] for rule in judged.values()) == (card.bundle is not None)
    folder = settings.nightly_folder / told.night
    assert json.loads((folder / "scorecard.json").read_text())["challenger"] == card.challenger
    assert card.challenger in (folder / "scorecard.html").read_text()
    assert (folder / "scorecard.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in folder.iterdir()} == {"scorecard.json", "scorecard.html", "scorecard.png"}
    # Nothing serves that no person promoted, and nothing is left over.
    assert rows(lab_store, ServingRow) == before
    assert not list(settings.models_folder.glob(".night*"))
    if card.passed:
        made = bundle.load(settings.models_folder / "nightly-20310501")
        assert made.bundle_id == card.challenger
        assert made.manifest.parent == card.champion
    # No slide is on both sides.
    roles = {row.sha256: row.role for row in rows(lab_store, LabCellRow)}
    assert set(roles.values()) == {"learn", "judge"}


class Killed(BaseException):
    """Ends a process wherever it is; nothing of ours catches it."""


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_night_that_dies_at_any_stage_goes_on_there_and_the_champion_is_whole(
    stage, when, nightly, laboratory, lab_store, settings, monkeypatch
):
    laboratory()
    champion = bundle.load(settings.models_folder / "wnet-pbc").bundle_id
    target = nights if stage != "build" else __import__("engine_build.nightly").nightly
    name = stage if stage != "build" else "_build"
    real = getattr(target, name)

    def dying(*args, **kwargs):
        if when == "after":
            real(*args, **kwargs)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(target, name, dying)
        with pytest.raises(Killed):
            nightly().run(TODAY, again=False)
    assert bundle.load(settings.models_folder / "wnet-pbc").bundle_id == champion
    (running,) = [row for row in rows(lab_store, RunRow) if row.state == "running"]
    assert running.stage == stage
    told = nightly().run(TOMORROW, again=False)
    assert told.night == TODAY.isoformat()
    assert set(told.states.values()) == {"done"}
    assert len(rows(lab_store, ScorecardRow)) == 1
    assert {row.bundle_id for row in rows(lab_store, BundleRow)} >= {champion}
    assert not list(settings.models_folder.glob(".night*"))
