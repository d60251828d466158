"""Nights as rows: one a date by schedule, gone on with where they stopped, ended with a sentence."""

from datetime import date

import pytest

from smear import runs
from smear.lease import Lease
from smear.plain import PlainError
from smear.runs import STAGES, Enough


MAY = date(2031, 5, 1)


@pytest.fixture
def lease(store):
    with Lease(store, runs.LEASE, 60) as held:
        yield held


def rows(store):
    with store.read() as session:
        return runs.latest(session)


def test_stages_come_in_their_order_and_hand_on_what_they_told(store, lease):
    night = runs.begin(store, MAY, again=False)
    seen = []
    while (row := runs.next_stage(rows(store))) is not None:
        seen.append(row.stage)
        assert runs.do(store, lease, night, row.stage, lambda: {"n": len(seen)})
    assert tuple(seen) == STAGES
    assert runs.told(store, night)["judge"] == {"n": 4}
    assert runs.outcome(rows(store)) is None
    assert runs.begin(store, MAY, again=False) is None
    assert runs.begin(store, MAY, again=True) == "2031-05-01.2"


@pytest.mark.parametrize(
    ("error", "state"), [(Enough("31 new labels, 50 needed"), "ended"), (PlainError("x"), "failed")]
)
def test_a_night_that_ends_early_says_why_and_the_next_date_has_its_own(store, lease, error, state):
    def stop():
        raise error

    night = runs.begin(store, MAY, again=False)
    assert not runs.do(store, lease, night, "collect", stop)
    assert (rows(store)[0].state, runs.outcome(rows(store))) == (state, str(error))
    assert runs.begin(store, date(2031, 5, 2), again=False) == "2031-05-02"


def test_what_breaks_off_is_done_again_but_not_for_ever(store, lease):
    def broken():
        raise KeyboardInterrupt

    night = runs.begin(store, MAY, again=False)
    for _ in range(runs.MAX_ATTEMPTS):
        with pytest.raises(KeyboardInterrupt):
            runs.do(store, lease, night, "collect", broken)
        assert rows(store)[0].state == "running"
        assert runs.begin(store, date(2031, 5, 2), again=False) == night
    assert not runs.do(store, lease, night, "collect", broken)
    assert "broke off" in runs.outcome(rows(store))
