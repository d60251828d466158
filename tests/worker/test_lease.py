import threading

import pytest

from smear.store import StoreUnavailable
from worker import lease, ledger
from worker.lease import Lease


class FakeStall:
    def __init__(self):
        self.called = 0

    def __call__(self):
        self.called += 1


@pytest.fixture
def claim(sqlite_store, queue_slide):
    return ledger.claim(sqlite_store, queue_slide(sqlite_store), "host:1")


@pytest.fixture
def stall():
    return FakeStall()


@pytest.fixture
def held(sqlite_store, claim, clock, stall):
    return Lease(sqlite_store, claim, lease_seconds=15, stall_seconds=120, stalled=stall, clock=clock)


def beats(store):
    (one,) = ledger.held(store)
    return one.beat


def test_it_beats_while_the_work_gets_on(held, sqlite_store, clock, stall):
    for _ in range(50):
        clock.pass_(119)
        held.progress()
        assert held.step()
    assert (beats(sqlite_store), stall.called) == (50, 0)


def test_it_ends_the_process_when_the_work_stands_still(held, sqlite_store, clock, stall):
    clock.pass_(120)
    assert held.step()
    clock.pass_(0.01)
    assert not held.step()
    assert stall.called == 1
    assert beats(sqlite_store) == 1


def test_it_stops_when_the_claim_was_taken_back(held, sqlite_store):
    assert ledger.take_back(sqlite_store, ledger.held(sqlite_store)[0])
    assert not held.step()


def test_a_database_that_is_away_for_a_while_does_not_end_it(held, monkeypatch):
    def away(*_):
        raise StoreUnavailable("locked")

    monkeypatch.setattr(lease.ledger, "beat", away)
    assert held.step()


def test_its_thread_beats_and_is_gone_at_the_end(sqlite_store, claim, monkeypatch):
    beaten = threading.Event()
    monkeypatch.setattr(lease.ledger, "beat", lambda *_: beaten.set())
    with Lease(sqlite_store, claim, lease_seconds=0.03, stall_seconds=60):
        assert beaten.wait(30)
    assert not any(thread.name == "lease" for thread in threading.enumerate())
