"""What the database cannot keep of one slide or one picture stops no other, and is said."""

import os
from dataclasses import replace

import pytest
from sqlmodel import select

from smear.geometry import profile
from smear.layout import layout
from smear.store import RowRejected
from smear.tables import DifferentialRow, PictureRow, RevisionRow
from worker import arrivals, ledger
from worker.classify import classify
from worker.models import register
from worker.queue import sender
from worker.reading import SlideReader
from worker.record import record
from worker.results import results
from worker.status import status
from worker.watch.observe import Observing
from worker.watch.rescan import Rescan
from worker.watch.source import SourceWatch


BAD = os.fsdecode(b"S-B\xff")


@pytest.fixture
def rejecting(store, monkeypatch):
    """A layout that hands on one name as it is, and that no database can keep: its last half of a character."""
    monkeypatch.setattr("smear.layouts.slides.slide_name", lambda name: name)
    return store


@pytest.fixture
def watch_it(settings, drop):
    """watch_it(store, seconds): a watcher that steps once a second."""

    def run(store, seconds=40):
        (source,) = settings.sources
        watched = SourceWatch(store, source, settings, Observing(drop, layout("slides"), "none"))
        for now in range(seconds):
            watched.step(now)
        return watched

    return run


def states(store):
    return {r.slide.slide_id: (r.revision.state, r.revision.reason) for r in results(store)}


def test_a_name_that_is_rejected_stops_no_other_slide_of_its_source(
    rejecting, drop, make_slide, watch_it, settings, capfd
):
    for name in ("S-A", BAD, "S-C"):
        make_slide(drop, name, 2)
    watch_it(rejecting)
    found = states(rejecting)
    assert (found.pop("S-A"), found.pop("S-C")) == (("queued", None), ("queued", None))
    ((name, (state, reason)),) = found.items()
    assert name.startswith("rejected-")
    assert (state, reason) == ("failed", "the database cannot keep it: a text holds characters that it cannot keep")
    told = status(rejecting, settings, sender(settings))
    assert any(said.startswith("1 failed") for said in told["needs_attention"])
    watch_it(rejecting, 200)
    assert len(states(rejecting)) == 3
    said = capfd.readouterr().err
    assert BAD not in said
    assert "Traceback" not in said


def test_a_name_that_is_too_long_stops_no_other_slide(postgres_store, drop, make_slide, watch_it, monkeypatch):
    monkeypatch.setattr("smear.layouts.slides.slide_name", lambda name: name * 100)
    for name in ("S", "LONG", "T"):
        make_slide(drop, name, 2)
    watch_it(postgres_store)
    found = states(postgres_store)
    assert (found.pop("S" * 100)[0], found.pop("T" * 100)[0]) == ("queued", "queued")
    assert list(found.values()) == [("failed", "the database cannot keep it: a text is too long")]


def test_a_rescan_names_what_is_rejected_and_compares_the_others(rejecting, drop, make_slide, settings):
    for name in ("S-A", BAD, "S-C"):
        make_slide(drop, name, 2)
    (source,) = settings.sources
    found = {one.slide_id: one.found for one in Rescan(rejecting, source, by_hash=False).run()}
    assert (found.pop("S-A"), found.pop("S-C")) == ("new", "new")
    assert found == {arrivals.stand_in_name(BAD): "cannot be read"}


def test_a_sidecar_that_is_rejected_fails_its_slide_once_and_no_other(store, drop, make_slide, watch_it, monkeypatch):
    for name in ("S-A", "S-B"):
        make_slide(drop, name, 2)
    settle = arrivals.settle

    def rejected(store, revision, *given, **options):
        if revision == 1:
            raise RowRejected("the database cannot keep it: a number is too large")
        settle(store, revision, *given, **options)

    monkeypatch.setattr(arrivals, "settle", rejected)
    watch_it(store)
    watch_it(store, 200)
    with store.read() as session:
        rows = session.exec(select(RevisionRow).order_by(RevisionRow.id)).all()
    assert [row.state for row in rows] == ["failed", "queued"]
    assert rows[0].reason == "its sidecar is refused: the database cannot keep it: a number is too large"


@pytest.mark.parametrize("odd", ["a NUL \x00 in it", "half a character \ud800"])
def test_a_text_about_one_picture_never_stops_its_slide(store, drop, make_slide, queue_slide, bundle, fake_engine, odd):
    register(store, bundle)
    folder = make_slide(drop, "S-1", 3)
    (folder / "bad.jpg").write_bytes(b"no picture")
    listing, reader = layout("slides").look(drop, "S-1"), SlideReader(1)
    chunks = [
        [replace(p, problem=odd, analyser_class=odd) if p.trouble else p for p in chunk]
        for chunk in reader.read(drop, "S-1", listing, profile("di60"))
    ]
    reader.close()
    claim = ledger.claim(store, queue_slide(store), "w")
    record(store, claim, classify(chunks, bundle, fake_engine, min_cells=1, low_count_cells=1), "x")
    with store.read() as session:
        (told,) = session.exec(select(DifferentialRow)).all()
        kept = session.exec(select(PictureRow.problem, PictureRow.analyser_class)).all()
    assert (told.classified, told.unreadable) == (3, 1)
    (problem,) = [one for one, _ in kept if one]
    assert problem == told.problems[0]["reason"]
    assert problem.startswith(odd[:5])
    assert "\\" in problem


def test_a_result_that_is_rejected_fails_its_slide_at_once(
    store, drop, make_slide, queue_slide, make_work, fake_engine, monkeypatch
):
    make_slide(drop, "S-1", 3)
    make_slide(drop, "S-2", 3, first=3)
    first, second, work = queue_slide(store), queue_slide(store, "S-2"), make_work(store, fake_engine)
    with monkeypatch.context() as patch:
        patch.setattr(fake_engine, "name", "half a character \ud800", raising=False)
        work.do(first)
    work.do(second)
    with store.read() as session:
        rows = [session.get(RevisionRow, number) for number in (first, second)]
    assert [row.state for row in rows] == ["failed", "classified"]
    assert rows[0].reason == "the database cannot keep it: a text holds characters that it cannot keep"
    assert [(row.attempts, row.deaths) for row in rows] == [(1, 0), (1, 0)]
