"""One message: claimed, read, classified, recorded; and whatever can come between."""

import errno
import os

import pytest
from sqlmodel import select
from structlog.testing import capture_logs

from smear.bundle import BadBundle
from smear.tables import DifferentialRow, RevisionRow
from worker import arrivals, ledger, reading
from worker.engines.face import EngineUnavailable


def row(store, revision):
    with store.read() as session:
        return session.get(RevisionRow, revision)


@pytest.fixture
def slide(drop, make_slide, sqlite_store, queue_slide):
    make_slide(drop, "S-1", 4)
    return queue_slide(sqlite_store)


def test_a_slide_is_classified_once_however_often_its_message_comes(
    store, drop, make_slide, queue_slide, make_work, fake_engine, dump
):
    make_slide(drop, "S-1", 4)
    revision = queue_slide(store)
    work = make_work(store, fake_engine)
    work.do(revision)
    assert row(store, revision).state == "classified"
    before = dump(store)
    for _ in range(3):
        work.do(revision)
    work.do(999)
    assert dump(store) == before
    assert fake_engine.batches == [4]


def test_a_slide_in_somebody_elses_hands_is_left_alone(sqlite_store, slide, make_work, fake_engine, dump):
    work = make_work(sqlite_store, fake_engine)
    ledger.claim(sqlite_store, slide, "host:9")
    before = dump(sqlite_store)
    work.do(slide)
    assert dump(sqlite_store) == before


@pytest.mark.parametrize("error", [BadBundle("bad"), EngineUnavailable("no engine")])
def test_a_host_that_cannot_classify_counts_no_attempt(sqlite_store, slide, make_work, fake_engine, error, dump):
    work = make_work(sqlite_store, fake_engine)

    class FakeBrokenServing:
        def get(self):
            raise error

    work._engine = FakeBrokenServing()
    before = dump(sqlite_store)
    work.warm()
    assert dump(sqlite_store) == before
    work.do(slide)
    found = row(sqlite_store, slide)
    assert (found.state, found.attempts, found.claimed_by, found.reason) == ("queued", 0, None, str(error))


def test_why_a_host_cannot_classify_is_logged_once_until_it_changes(sqlite_store, slide, make_work, fake_engine):
    work = make_work(sqlite_store, fake_engine)
    bundle, reason = work._engine.get()[0], "no engine"

    class FakeServing:
        def get(self):
            if reason:
                raise EngineUnavailable(reason)
            return bundle, fake_engine

    work._engine = FakeServing()
    with capture_logs() as logs:
        work.warm()
        for reason in ("no engine", "no engine", "no plan", "no plan"):  # noqa: B007 - what the engine says
            work.do(slide)
        reason = ""
        work.do(slide + 1)  # no such slide, but the engine opens
        reason = "no plan"
        work.do(slide)
    said = [line["reason"] for line in logs if line["event"] == "cannot classify on this host"]
    assert said == ["no engine", "no plan", "no plan"]


def test_a_fault_of_ours_is_named_on_its_slide_and_never_on_its_worker(
    sqlite_store, slide, make_work, fake_engine, monkeypatch, settings
):
    def faulty(*_arguments, **_options):
        raise KeyError("S-1")

    monkeypatch.setattr("worker.work.classify", faulty)
    work = make_work(sqlite_store, fake_engine)
    for attempt in range(1, settings.max_attempts + 1):
        work.do(slide)
        found = row(sqlite_store, slide)
        assert (found.attempts, found.claimed_by) == (attempt, None)
        if found.state == "arriving":
            arrivals.settle(sqlite_store, slide, None, blood=True)
    assert found.state == "failed"
    assert found.reason == "a fault of this program (KeyError); its log has the details"


def test_a_result_that_comes_too_late_is_dropped(sqlite_store, slide, make_work, fake_engine):
    class FakeSlowEngine:
        name = "fake-slow"

        def infer(self, images):
            ledger.take_back(sqlite_store, ledger.held(sqlite_store)[0])
            return fake_engine.infer(images)

    make_work(sqlite_store, FakeSlowEngine()).do(slide)
    found = row(sqlite_store, slide)
    assert (found.state, found.claimed_by) == ("queued", None)
    with sqlite_store.read() as session:
        assert session.exec(select(DifferentialRow)).all() == []
    make_work(sqlite_store, fake_engine).do(slide)
    assert row(sqlite_store, slide).state == "classified"


def test_a_slide_that_still_changes_goes_back_to_the_watcher(
    sqlite_store, slide, make_work, fake_engine, drop, monkeypatch
):
    real = reading.read_file

    def vanish(folder, name):
        (drop / "S-1" / "cell_003.jpg").unlink(missing_ok=True)
        return real(folder, name)

    monkeypatch.setattr(reading, "read_file", vanish)
    make_work(sqlite_store, fake_engine).do(slide)
    found = row(sqlite_store, slide)
    assert (found.state, found.attempts, found.claimed_by) == ("arriving", 1, None)


def test_a_slide_whose_share_is_away_waits_and_fails_only_after_many_attempts(
    sqlite_store, slide, make_work, fake_engine, drop
):
    (drop / "S-1").rename(drop / "away")
    work = make_work(sqlite_store, fake_engine, max_attempts=3)
    for attempt in (1, 2):
        work.do(slide)
        found = row(sqlite_store, slide)
        assert (found.state, found.attempts) == ("arriving", attempt)
        arrivals.settle(sqlite_store, slide, None, blood=True)
    work.do(slide)
    found = row(sqlite_store, slide)
    assert (found.state, found.reason) == (
        "failed",
        "the slide's folder cannot be listed: No such file or directory",
    )


def test_a_picture_that_stays_unreadable_is_recorded_at_the_third_attempt(
    sqlite_store, slide, make_work, fake_engine, monkeypatch
):
    real = reading.read_file

    def failing(folder, name):
        if name == "cell_001.jpg":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(folder, name)

    monkeypatch.setattr(reading, "read_file", failing)
    work = make_work(sqlite_store, fake_engine)
    for _ in range(2):
        work.do(slide)
        assert row(sqlite_store, slide).state == "arriving"
        arrivals.settle(sqlite_store, slide, None, blood=True)
    work.do(slide)
    assert row(sqlite_store, slide).state == "classified"
    with sqlite_store.read() as session:
        differential = session.exec(select(DifferentialRow)).one()
    assert (differential.total, differential.unreadable) == (4, 1)
    assert differential.problems == [{"file": "cell_001.jpg", "reason": "cannot be read: Input/output error"}]


def test_an_engine_that_answers_nonsense_writes_nothing(sqlite_store, slide, make_work, fake_engine):
    class FakeBrokenEngine:
        name = "fake-broken"

        def infer(self, images):
            logits, features = fake_engine.infer(images)
            logits[:] = float("nan")
            return logits, features

    work = make_work(sqlite_store, FakeBrokenEngine(), max_attempts=2)
    work.do(slide)
    assert row(sqlite_store, slide).state == "arriving"
    arrivals.settle(sqlite_store, slide, None, blood=True)
    work.do(slide)
    assert row(sqlite_store, slide).state == "failed"
    with sqlite_store.read() as session:
        assert session.exec(select(DifferentialRow)).all() == []


def test_an_engine_that_fails_is_opened_anew_for_the_next_attempt_and_the_slide_is_named_after_many(
    sqlite_store, slide, make_work, fake_engine
):
    class FakeLostGpu:
        name = "fake-gpu"

        def infer(self, images):
            raise EngineUnavailable("the GPU failed: unspecified launch failure")

    work = make_work(sqlite_store, FakeLostGpu(), max_attempts=3)
    forgotten = []
    work._engine.forget = lambda: forgotten.append(work._engine.engine)
    for attempt in (1, 2):
        work.do(slide)
        assert (row(sqlite_store, slide).state, len(forgotten)) == ("arriving", attempt)
        arrivals.settle(sqlite_store, slide, None, blood=True)
    work._engine.engine = fake_engine  # another engine runs what the GPU could not
    work.do(slide)
    assert row(sqlite_store, slide).state == "classified"


def test_a_slide_of_a_source_that_this_worker_does_not_know_waits(sqlite_store, slide, make_work, fake_engine, drop):
    make_work(sqlite_store, fake_engine, drop=f"ward={drop}").do(slide)
    assert row(sqlite_store, slide).state == "arriving"
