"""Database against queue, on a clock that the test moves and a fake broker."""

import pytest
from sqlmodel import select

from smear.tables import RevisionRow
from worker import arrivals, ledger
from worker.queue import BrokerUnavailable
from worker.watch import reconcile
from worker.watch.reconcile import LOST_SECONDS, RECONCILE_SECONDS, Reconciler


class FakeBroker:
    def __init__(self):
        self.up, self.messages, self.accepted = True, [], 0
        self.room = None

    def publish(self, _app, revision, _lane=None):
        if not self.up or (self.room is not None and len(self.messages) >= self.room):
            raise BrokerUnavailable("refused")
        self.messages.append(revision)
        self.accepted += 1

    def depth(self, _app):
        return len(self.messages) if self.up else None


@pytest.fixture
def broker(monkeypatch):
    made = FakeBroker()
    monkeypatch.setattr(reconcile, "publish", made.publish)
    monkeypatch.setattr(reconcile, "depth", made.depth)
    return made


@pytest.fixture
def make(sqlite_store, settings, broker):
    return lambda **changed: Reconciler(sqlite_store, settings.model_copy(update=changed), app=None)


def run(reconciler, clock, seconds, tick=0.5, each=lambda: None):
    for _ in range(round(seconds / tick)):
        clock.pass_(tick)
        each()
        reconciler.step(clock.now, settled=False)


def row(store, revision):
    with store.read() as session:
        return session.get(RevisionRow, revision)


def test_what_settled_is_published_at_once_and_once(make, broker, sqlite_store, queue_slide, clock):
    reconciler = make()
    assert reconciler.step(clock.now, settled=False)
    revision = queue_slide(sqlite_store)
    assert not reconciler.step(clock.pass_(0.25), settled=True)
    assert broker.messages == [revision]
    run(reconciler, clock, 60)
    assert broker.accepted == 1


def test_a_level_is_compared_every_two_seconds(make, clock):
    reconciler = make()
    compared = sum(reconciler.step(clock.pass_(0.25), settled=False) for _ in range(80))
    assert compared == 20 / RECONCILE_SECONDS


def test_slides_wait_in_the_database_while_the_broker_is_away(make, broker, sqlite_store, queue_slide, clock):
    broker.up = False
    reconciler = make()
    revisions = [queue_slide(sqlite_store, f"S-{n}") for n in range(3)]
    run(reconciler, clock, 600)
    assert ledger.to_publish(sqlite_store, 9) == revisions
    broker.up = True
    run(reconciler, clock, RECONCILE_SECONDS)
    assert broker.messages == revisions
    assert ledger.to_publish(sqlite_store, 9) == []


def test_what_a_full_broker_took_is_marked_and_the_rest_waits(make, broker, sqlite_store, queue_slide, clock):
    broker.room = 2
    revisions = [queue_slide(sqlite_store, f"S-{n}") for n in range(3)]
    reconciler = make()
    run(reconciler, clock, 4)
    assert broker.messages == revisions[:2]
    assert ledger.to_publish(sqlite_store, 9) == revisions[2:]


def test_the_queue_is_bounded_and_the_database_holds_the_rest(make, broker, sqlite_store, queue_slide, clock):
    revisions = [queue_slide(sqlite_store, f"S-{n}") for n in range(10)]
    reconciler = make(queue_window=4)
    run(reconciler, clock, 20)
    assert broker.messages == revisions[:4]
    done = broker.messages.pop(0)
    ledger.fail(sqlite_store, ledger.claim(sqlite_store, done, "w"), "done with")
    run(reconciler, clock, RECONCILE_SECONDS)
    assert broker.messages == revisions[1:5]


def test_a_silent_claim_is_taken_back_when_its_lease_is_over_and_not_before(
    make, broker, sqlite_store, queue_slide, clock
):
    revision = queue_slide(sqlite_store)
    reconciler = make(lease_seconds=15)
    reconciler.step(clock.now, settled=True)
    broker.messages.clear()
    ledger.claim(sqlite_store, revision, "dead")
    reconciler.step(clock.pass_(2), settled=False)  # seen for the first time
    run(reconciler, clock, 14)
    assert row(sqlite_store, revision).claimed_by == "dead"
    run(reconciler, clock, 2.5)
    assert row(sqlite_store, revision).claimed_by is None
    assert broker.messages == [revision]


def test_a_claim_whose_heart_beats_is_kept(make, broker, sqlite_store, queue_slide, clock):
    revision = queue_slide(sqlite_store)
    reconciler = make(lease_seconds=15)
    claim = ledger.claim(sqlite_store, revision, "alive")
    for _ in range(60):
        ledger.beat(sqlite_store, claim)
        run(reconciler, clock, 14, tick=2)
    assert row(sqlite_store, revision).claimed_by == "alive"


def test_a_new_claim_gets_a_lease_of_its_own(make, broker, sqlite_store, queue_slide, clock):
    revision = queue_slide(sqlite_store)
    reconciler = make(lease_seconds=15)
    for name in ("first", "second"):
        claim = ledger.claim(sqlite_store, revision, name)
        run(reconciler, clock, 14)
        assert row(sqlite_store, revision).claimed_by == name
        ledger.release(sqlite_store, claim, attempts=0)
        arrivals.settle(sqlite_store, revision, None, blood=True)


def test_a_slide_that_kills_its_worker_each_time_is_given_up_with_the_reason(
    make, broker, sqlite_store, queue_slide, clock
):
    revision = queue_slide(sqlite_store)
    reconciler = make(max_attempts=3, lease_seconds=15)
    attempts = 0
    while row(sqlite_store, revision).state == "queued":
        if ledger.claim(sqlite_store, revision, "dies"):
            attempts += 1
            broker.messages.clear()
        run(reconciler, clock, 20)
    assert attempts == 3
    found = row(sqlite_store, revision)
    assert (found.state, found.reason, found.claimed_by) == ("failed", "its worker died 3 times over it", None)
    run(reconciler, clock, 60)
    assert broker.messages == []


def test_a_lost_message_is_published_again_though_others_wait(make, broker, sqlite_store, queue_slide, clock):
    lost, kept = queue_slide(sqlite_store, "lost"), queue_slide(sqlite_store, "kept")
    reconciler = make()
    reconciler.step(clock.now, settled=True)
    broker.messages.remove(lost)
    run(reconciler, clock, LOST_SECONDS + 2 * RECONCILE_SECONDS)
    assert broker.messages == [kept, lost]


def test_messages_that_only_wait_long_are_not_published_again(make, broker, sqlite_store, queue_slide, clock):
    waiting = [queue_slide(sqlite_store, f"S-{n}") for n in range(3)]
    reconciler = make()
    reconciler.step(clock.now, settled=True)
    run(reconciler, clock, 600)
    assert broker.messages == waiting


def test_a_message_just_taken_is_not_thought_lost(make, broker, sqlite_store, queue_slide, clock):
    queue_slide(sqlite_store)
    reconciler = make()
    reconciler.step(clock.now, settled=True)
    broker.messages.clear()  # a worker took it and is about to claim
    run(reconciler, clock, LOST_SECONDS - 0.5)
    assert broker.accepted == 1


def test_nothing_is_thought_lost_while_the_broker_is_away(make, broker, sqlite_store, queue_slide, clock):
    revision = queue_slide(sqlite_store)
    reconciler = make()
    reconciler.step(clock.now, settled=True)
    broker.up = False
    run(reconciler, clock, 600)
    assert row(sqlite_store, revision).published_at is not None


def test_a_broker_that_forgot_everything_is_told_again(make, broker, sqlite_store, queue_slide, clock):
    revisions = [queue_slide(sqlite_store, f"S-{n}") for n in range(20)]
    reconciler = make()
    reconciler.step(clock.now, settled=True)
    broker.messages.clear()
    run(reconciler, clock, LOST_SECONDS + 2 * RECONCILE_SECONDS)
    assert sorted(broker.messages) == revisions


def test_a_new_watcher_takes_up_what_an_earlier_one_left(make, broker, sqlite_store, queue_slide, clock):
    published, unpublished, claimed = (queue_slide(sqlite_store, name) for name in "abc")
    ledger.mark_published(sqlite_store, [published, claimed])
    ledger.claim(sqlite_store, claimed, "dead")
    taken = set()

    def take():
        for revision in broker.messages:
            taken.add(revision)
            ledger.fail(sqlite_store, ledger.claim(sqlite_store, revision, "w"), "done with")
        broker.messages.clear()

    run(make(lease_seconds=15), clock, 30, each=take)
    assert taken == {published, unpublished, claimed}
    assert broker.accepted == 3


def test_finished_slides_leave_nothing_behind_in_memory(make, broker, sqlite_store, queue_slide, clock):
    reconciler = make()
    for n in range(5):
        revision = queue_slide(sqlite_store, f"S-{n}")
        run(reconciler, clock, 2)
        claim = ledger.claim(sqlite_store, revision, "w")
        run(reconciler, clock, 2)
        ledger.fail(sqlite_store, claim, "done with")
    run(reconciler, clock, 4)
    assert reconciler._beats == {}
    assert reconciler._waiting == {}
    with sqlite_store.read() as session:
        assert {r.state for r in session.exec(select(RevisionRow))} == {"failed"}
