"""A database that is locked, full or restarted in mid-work: nothing is lost, nothing twice, and the worker goes on."""

import sqlite3
import threading
from contextlib import closing

import pytest
from sqlalchemy import event
from sqlmodel import select

from smear import store as stores
from smear.geometry import profile
from smear.layout import layout
from smear.store import Store, StoreUnavailable
from smear.tables import CellRow, DifferentialRow, PictureRow, PredictionRow, RevisionRow
from worker import arrivals, ledger
from worker import record as recording
from worker.classify import classify
from worker.models import register
from worker.reading import SlideReader
from worker.record import record


def row(store, revision):
    with store.read() as session:
        return session.get(RevisionRow, revision)


def count(store, kind):
    with store.read() as session:
        return len(session.exec(select(kind)).all())


@pytest.fixture
def impatient(sqlite_store, monkeypatch):
    """The store, whose connections wait a moment for a lock and not half a minute."""
    monkeypatch.setattr(stores, "BUSY_TIMEOUT_MS", 50)
    sqlite_store.engine.dispose()
    return sqlite_store


def test_while_the_database_is_locked_nothing_is_claimed(
    impatient, drop, make_slide, queue_slide, make_work, fake_engine
):
    make_slide(drop, "S-1", 3)
    revision, work = queue_slide(impatient), make_work(impatient, fake_engine)
    with closing(sqlite3.connect(impatient.file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="locked"):
                work.do(revision)
        other.execute("ROLLBACK")
    work.do(revision)
    assert (row(impatient, revision).state, row(impatient, revision).attempts) == ("classified", 1)


def test_a_database_locked_in_mid_work_costs_one_more_attempt_and_no_death(
    impatient, drop, make_slide, queue_slide, make_work, fake_engine
):
    make_slide(drop, "S-1", 3)
    revision, other = queue_slide(impatient), sqlite3.connect(impatient.file, isolation_level=None)

    class FakeLockingEngine:
        name = "fake-locking"

        def infer(self, images):
            if fake_engine.batches == []:
                other.execute("BEGIN IMMEDIATE")
            return fake_engine.infer(images)

    work = make_work(impatient, FakeLockingEngine())
    with closing(other):
        with pytest.raises(StoreUnavailable, match="locked"):
            work.do(revision)
        other.execute("ROLLBACK")
    assert row(impatient, revision).claimed_by is not None
    work.do(revision)  # another message, or the same: the claim left behind is let go of first, and taken again
    found = row(impatient, revision)
    assert (found.state, found.attempts, found.deaths) == ("classified", 1, 0)
    assert count(impatient, DifferentialRow) == 1


def test_a_share_and_a_database_away_at_once_are_no_death(
    impatient, drop, make_slide, queue_slide, make_work, fake_engine, monkeypatch
):
    folder = make_slide(drop, "S-1", 3)
    revision, work = queue_slide(impatient), make_work(impatient, fake_engine)
    folder.rename(drop / "away")
    with closing(sqlite3.connect(impatient.file, isolation_level=None)) as other:
        claim = ledger.claim

        def claim_and_lock(*given):
            claimed = claim(*given)
            other.execute("BEGIN IMMEDIATE")
            return claimed

        monkeypatch.setattr(ledger, "claim", claim_and_lock)
        with pytest.raises(StoreUnavailable, match="locked"):
            work.do(revision)
        other.execute("ROLLBACK")
        monkeypatch.undo()
    (drop / "away").rename(folder)
    work.do(revision)
    found = row(impatient, revision)
    assert (found.state, found.attempts, found.deaths) == ("classified", 1, 0)


def test_a_disk_full_at_commit_writes_nothing_and_is_made_good(
    sqlite_store, drop, make_slide, queue_slide, make_work, fake_engine
):
    make_slide(drop, "S-1", 60)
    revision, work = queue_slide(sqlite_store), make_work(sqlite_store, fake_engine)
    pages = {"most": 2**30}

    @event.listens_for(sqlite_store.engine, "begin")
    def _limit(connection):
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages['most']}")

    with sqlite_store.read() as session:
        pages["most"] = session.connection().exec_driver_sql("PRAGMA page_count").scalar()
    with pytest.raises(StoreUnavailable, match="full"):
        work.do(revision)
    assert (count(sqlite_store, DifferentialRow), count(sqlite_store, CellRow)) == (0, 0)
    pages["most"] = 2**30
    work.do(revision)
    assert (row(sqlite_store, revision).state, row(sqlite_store, revision).deaths) == ("classified", 0)
    assert count(sqlite_store, PictureRow) == count(sqlite_store, PredictionRow) == 60
    with sqlite_store.read() as session:
        assert session.connection().exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def test_a_server_restarted_before_and_in_mid_commit_loses_nothing(
    postgres_store, restart_postgres, drop, make_slide, queue_slide, make_work, fake_engine, monkeypatch
):
    revisions = []
    for n in range(3):
        make_slide(drop, f"S-{n}", 3, first=3 * n)
        revisions.append(queue_slide(postgres_store, f"S-{n}"))
    work, real, restarts = make_work(postgres_store, fake_engine), recording.write, []

    def write(session, claim, *result, **more):
        real(session, claim, *result, **more)
        if claim.revision == revisions[1] and not restarts:
            restarts.append(restart_postgres())

    monkeypatch.setattr(recording, "write", write)
    work.do(revisions[0])
    restart_postgres()
    with pytest.raises(StoreUnavailable):
        work.do(revisions[1])
    work.do(revisions[2])  # which lets go of the one before
    assert ledger.to_publish(postgres_store, 9) == [revisions[1]]
    work.do(revisions[1])
    assert [row(postgres_store, r).state for r in revisions] == ["classified"] * 3
    assert [row(postgres_store, r).attempts for r in revisions] == [1, 1, 1]
    assert count(postgres_store, DifferentialRow) == 3
    assert count(postgres_store, PictureRow) == 9


def test_two_revisions_recorded_at_once_never_wait_for_each_other_in_a_circle(
    store, drop, make_slide, queue_slide, bundle, fake_engine
):
    register(store, bundle)
    make_slide(drop, "S-1", 40)
    reader, listing = SlideReader(1), layout("slides").look(drop, "S-1")
    chunks = list(reader.read(drop, "S-1", listing, profile("di60")))
    result = classify(chunks, bundle, fake_engine, min_cells=1, low_count_cells=1)
    backwards = classify([c[::-1] for c in chunks[::-1]], bundle, fake_engine, min_cells=1, low_count_cells=1)
    first = queue_slide(store)
    second = arrivals.open_revision(store, arrivals.known_slide(store, 1, "S-1"))
    arrivals.settle(store, second.revision, None, blood=True)
    claims = [ledger.claim(store, r, "w") for r in (first, second.revision)]
    faults, together = [], threading.Barrier(2)

    def write(claim, one):
        own = Store(store.engine.url.render_as_string(hide_password=False))
        try:
            for _ in range(5):
                together.wait(60)
                record(own, claim, one, "x")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is shown below
            faults.append(error)
            together.abort()
        finally:
            own.close()

    threads = [threading.Thread(target=write, args=pair) for pair in zip(claims, (result, backwards), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reader.close()
    assert faults == []
    assert (count(store, CellRow), count(store, PictureRow), count(store, PredictionRow)) == (40, 80, 40)


def test_a_server_is_told_to_let_go_of_what_a_dead_host_held(postgres_store):
    names = ("lock_timeout", "idle_in_transaction_session_timeout", "tcp_keepalives_idle", "transaction_isolation")
    shown = {}
    for how in ("read", "write"):
        with getattr(postgres_store, how)() as session:
            shown[how] = [session.connection().exec_driver_sql(f"SHOW {name}").scalar() for name in names]
    # On a Unix socket there is no line to keep alive: the server shows 0.
    assert shown == {"read": ["30s", "0", "0", "read committed"], "write": ["30s", "1min", "0", "read committed"]}


@pytest.mark.parametrize("url", ["postgres://host/name", "postgresql://host/name", "postgresql+psycopg://host/name"])
def test_postgresql_may_be_written_in_every_usual_way(url):
    store = Store(url)
    assert store.engine.url.drivername == "postgresql+psycopg"
    store.close()
