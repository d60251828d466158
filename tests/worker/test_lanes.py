"""Which slides leave the outbox first, on SQLite and on PostgreSQL, and that a real broker keeps the order."""

import pytest

from smear.sources import Source
from worker import arrivals, lanes, ledger
from worker.lanes import EXPRESS, LANES, LOW, ORDINARY
from worker.queue import SLIDES, depth, publish, sender
from worker.watch.reconcile import Reconciler


@pytest.fixture
def queue(tmp_path):
    """queue(store, name, source, priority, express): the revision of a slide that has settled."""

    def make(store, name, source="ward", priority=0, *, express=False):
        row = arrivals.register_source(store, Source(source, tmp_path, "slides", "di60", priority))
        known = arrivals.open_slide(store, row, name, name)
        arrivals.settle(store, known.revision, None, blood=True, rank=lanes.rank(priority, express=express))
        return known.revision

    return make


def test_the_outbox_is_ordered_by_priority_then_by_age(store, queue):
    archive = [queue(store, f"A-{n}", "archive", -10) for n in range(3)]
    older = [queue(store, f"O-{n}", "oldest", -20) for n in range(2)]
    ward = [queue(store, f"W-{n}") for n in range(3)]
    express = queue(store, "W-9", express=True)
    urgent = queue(store, "U-1", "urgent", 5)
    assert ledger.to_publish(store, 99) == [express, urgent, *ward, *archive, *older]
    assert ledger.to_publish(store, 2) == [express, urgent]
    assert [ledger.to_publish(store, 99, lane) for lane in LANES] == [[express, urgent], ward, [*archive, *older]]
    ledger.mark_published(store, [express, *ward, *archive])
    assert ledger.waiting_by_lane(store) == {EXPRESS: 1, ORDINARY: 3, LOW: 3}
    assert ledger.unclaimed(store) == [express, *ward, *archive]


def test_a_slide_of_low_priority_is_never_express():
    assert lanes.rank(-1, express=True) == lanes.rank(-1) == 1
    assert lanes.rank(0, express=True) < lanes.rank(1000)


def test_a_source_that_is_given_another_priority_takes_what_waits_with_it(store, queue):
    waiting = [queue(store, f"A-{n}", "archive", 0) for n in range(2)]
    assert ledger.to_publish(store, 9, LOW) == []
    queue(store, "A-9", "archive", -10)
    assert ledger.to_publish(store, 9, LOW)[:2] == waiting


def test_a_full_window_of_the_archive_keeps_no_new_slide_from_the_broker(broker, sqlite_store, settings, queue, clock):
    broker.start()
    app = sender(settings)
    archive = [queue(sqlite_store, f"A-{n}", "archive", -10) for n in range(8)]
    reconciler = Reconciler(sqlite_store, settings.model_copy(update={"queue_window": 4}), app)
    reconciler.step(clock.now, settled=True)
    assert depth(app) == 4
    new = queue(sqlite_store, "W-1")
    express = queue(sqlite_store, "W-2", express=True)
    reconciler.step(clock.pass_(0.25), settled=True)
    assert depth(app) == 6
    assert taken(app, 6) == [express, new, *archive[:4]]
    assert depth(app) == 0


def taken(app, n):
    """The revisions of the next messages, as a worker would get them."""
    got = []
    with app.connection_for_read() as connection, connection.SimpleQueue(SLIDES) as queue:
        for _ in range(n):
            message = queue.get(timeout=10)
            got.append(message.payload[0][0])
            message.ack()
    return got


def test_a_message_without_a_lane_is_an_ordinary_one(broker, settings):
    broker.start()
    app = sender(settings)
    for revision, lane in ((1, {"lane": LOW}), (2, {}), (3, {"lane": EXPRESS}), (4, {})):
        publish(app, revision, **lane)
    assert taken(app, 4) == [3, 2, 4, 1]
