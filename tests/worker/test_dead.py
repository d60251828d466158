"""Claims of processes known to be dead: ended once, counted where it was their doing, reported with patience."""

from sqlmodel import select

from smear.store import StoreUnavailable
from smear.tables import RevisionRow, SuspectRow
from worker import dead, ledger
from worker.dead import bury, bury_patiently, end_claim
from worker.ending import SILENT, End, process_name


def row(store, revision):
    with store.read() as session:
        return session.get(RevisionRow, revision)


def suspects(store):
    with store.read() as session:
        return session.exec(select(SuspectRow)).all()


def test_only_the_dead_process_claims_are_ended(store, queue_slide):
    mine, other = queue_slide(store, "S-1"), queue_slide(store, "S-2")
    ledger.mark_published(store, [mine, other])
    ledger.claim(store, mine, process_name(11))
    ledger.claim(store, other, process_name(12))
    assert bury(store, process_name(11), End("was ended by SIGKILL", own=False), 10) == 1
    assert ledger.to_publish(store, 9) == [mine]
    assert row(store, other).claimed_by == process_name(12)
    assert bury(store, process_name(11), SILENT, 10) == 0


def test_a_claim_that_beat_since_is_not_ended(store, queue_slide):
    claim = ledger.claim(store, queue_slide(store), process_name(11))
    (seen,) = ledger.held(store)
    ledger.take_in_hand(store, claim, "c" * 64)
    assert not end_claim(store, seen, SILENT, 10)
    assert not end_claim(store, seen, SILENT, 1)
    assert suspects(store) == []


def test_a_death_is_reported_once_the_database_is_back(sqlite_store, queue_slide, monkeypatch, clock):
    ledger.claim(sqlite_store, queue_slide(sqlite_store), process_name(11))
    real, away = ledger.held, [3]

    def held(store):
        if away[0]:
            away[0] -= 1
            raise StoreUnavailable("locked")
        return real(store)

    monkeypatch.setattr(dead.ledger, "held", held)
    assert bury_patiently(sqlite_store, process_name(11), SILENT, 10, clock=clock, sleep=clock.pass_) == 1
    away[0] = 10**6
    assert bury_patiently(sqlite_store, process_name(11), SILENT, 10, clock=clock, sleep=clock.pass_) == 0
