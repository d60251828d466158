"""A database that turns read-only without a cut connection: nothing is lost, no death is counted, no restart needed."""

import threading
import time

import pytest
from sqlmodel import select

from smear.layout import layout
from smear.store import StoreUnavailable
from smear.tables import DifferentialRow, RevisionRow
from worker import ledger
from worker.lease import Lease
from worker.queue import sender
from worker.watch.loop import watch as watch_loop
from worker.watch.observe import Observing
from worker.watch.reconcile import Reconciler
from worker.watch.source import SourceWatch
from worker.work import Work


def row(store, revision):
    with store.read() as session:
        return session.get(RevisionRow, revision)


@pytest.fixture
def slide(store, drop, make_slide, queue_slide):
    make_slide(drop, "S-1", 3)
    return queue_slide(store)


class FakeFailover:
    """An engine in whose hands, the first time, the database turns read-only."""

    name = "fake-failover"

    def __init__(self, engine, standby):
        self._engine, self._standby, self.times = engine, standby, 0

    def infer(self, images):
        self.times += 1
        if self.times == 1:
            self._standby.begin()
        return self._engine.infer(images)


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_nothing_is_claimed_while_it_is_read_only(store, standby, slide, make_work, fake_engine):
    work = make_work(store, fake_engine)
    standby.begin()
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match=r"(?i)read.?only"):
            work.do(slide)
    standby.end()
    try:
        work.do(slide)
    except StoreUnavailable:
        work.do(slide)  # the one connection that was opened meanwhile
    found = row(store, slide)
    assert (found.state, found.attempts, found.deaths) == ("classified", 1, 0)


def test_a_result_that_cannot_be_recorded_leaves_no_claim_behind(store, standby, slide, make_work, fake_engine):
    work = make_work(store, FakeFailover(fake_engine, standby))
    with pytest.raises(StoreUnavailable):
        work.do(slide)
    standby.end()
    # No other message comes: the worker lets go of it unasked, long before the lease runs out.
    wait_for(lambda: row(store, slide).claimed_by is None)
    found = row(store, slide)
    assert (found.state, found.attempts, found.deaths, found.published_at) == ("queued", 0, 0, None)
    work.do(slide)
    assert row(store, slide).state == "classified"
    with store.read() as session:
        assert len(session.exec(select(DifferentialRow)).all()) == 1


def test_a_worker_stopped_meanwhile_leaves_its_claim_to_the_next(
    store, standby, slide, make_work, fake_engine, monkeypatch
):
    monkeypatch.setattr("worker.left.PAUSE_SECONDS", 3600)
    with pytest.raises(StoreUnavailable):
        make_work(store, FakeFailover(fake_engine, standby)).do(slide)
    standby.end()
    monkeypatch.setattr("worker.left.PAUSE_SECONDS", 0.01)
    store.engine.dispose()
    make_work(store, fake_engine)  # another process: it knows nothing but what the first left on disk
    wait_for(lambda: row(store, slide).claimed_by is None)
    assert (row(store, slide).attempts, row(store, slide).deaths) == (0, 0)


@pytest.mark.parametrize("error", [RuntimeError("a bug"), SystemExit(1), StoreUnavailable("away")])
def test_a_claim_is_remembered_whatever_ends_the_attempt(
    sqlite_store, drop, make_slide, queue_slide, make_work, fake_engine, monkeypatch, error
):
    make_slide(drop, "S-1", 3)
    slide, work = queue_slide(sqlite_store), make_work(sqlite_store, fake_engine)

    def broken(*_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Work, "_attempt", broken)
        with pytest.raises(type(error)):
            work.do(slide)
    assert row(sqlite_store, slide).claimed_by is not None
    work.do(slide)
    found = row(sqlite_store, slide)
    assert (found.state, found.attempts, found.deaths) == ("classified", 1, 0)


def test_a_claim_whose_commit_was_not_answered_is_let_go_of(
    store, drop, make_slide, queue_slide, make_work, fake_engine, monkeypatch
):
    make_slide(drop, "S-1", 3)
    slide, work, real = queue_slide(store), make_work(store, fake_engine), ledger.claim

    def unanswered(*given):
        real(*given)
        raise StoreUnavailable("the server went away in the middle of the commit")

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "claim", unanswered)
        with pytest.raises(StoreUnavailable):
            work.do(slide)
    wait_for(lambda: row(store, slide).claimed_by is None)
    work.do(slide)
    found = row(store, slide)
    assert (found.state, found.attempts, found.deaths) == ("classified", 1, 0)


def test_a_heartbeat_goes_on_once_it_can_be_written(store, standby, slide, clock):
    claim = ledger.claim(store, slide, "host:1")
    lease = Lease(store, claim, lease_seconds=15, stall_seconds=120, clock=clock)
    standby.begin()
    assert lease.step()
    standby.end()
    assert lease.step()
    assert lease.step()
    (held,) = ledger.held(store)
    assert held.beat >= 1


def test_the_thread_that_beats_outlives_any_error(sqlite_store, queue_slide, monkeypatch):
    claim = ledger.claim(sqlite_store, queue_slide(sqlite_store), "host:1")
    real, errors = ledger.beat, [RuntimeError("a bug")]

    def beat(*given):
        if errors:
            raise errors.pop()
        real(*given)

    monkeypatch.setattr(ledger, "beat", beat)
    with Lease(sqlite_store, claim, lease_seconds=0.03, stall_seconds=120):
        wait_for(lambda: ledger.held(sqlite_store)[0].beat > 0)


def test_the_watcher_goes_on_and_counts_no_silence_as_a_death(
    store, standby, slide, settings, drop, make_slide, clock, monkeypatch
):
    quick = settings.model_copy(update={"file_settle_seconds": 0.0, "settle_seconds": 0.0})
    (source,) = quick.sources
    monkeypatch.setattr("worker.watch.loop.REST_SECONDS", 0.001)
    monkeypatch.setattr("worker.watch.loop.TICK_SECONDS", 0.001)
    ledger.claim(store, slide, "host:1")  # its holder lives, and cannot say so
    watched = SourceWatch(store, source, quick, Observing(drop, layout("slides"), "none"))
    stop, seconds = threading.Event(), []

    def passing():
        """A second a step: read-only from the 30th to the 60th, then the holder has ten seconds to be heard."""
        seconds.append(clock.pass_(1))
        if len(seconds) == 10:
            (held,) = ledger.held(store)
            ledger.beat(store, ledger.Claim(held.revision, held.token, 1, "S-1", 1, "S-1", "default", 1))
        if len(seconds) == 15:
            standby.begin()
            make_slide(drop, "S-2", 3, first=3)
        if len(seconds) == 60:
            standby.end()
        if len(seconds) == 72:
            stop.set()
        return clock()

    watch_loop([watched], Reconciler(store, quick, sender(quick)), stop, passing)
    (held,) = ledger.held(store)
    assert held.deaths == 0
    with store.read() as session:
        states = session.exec(select(RevisionRow.state).order_by(RevisionRow.id)).all()
    assert states == ["queued", "queued"]
