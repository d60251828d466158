"""Suspects and quarantine as rows: counted, acquitted, listed, let go."""

import pytest
from sqlmodel import select

from smear.audit import verify
from smear.geometry import profile
from smear.layout import layout
from smear.review_tables import AuditRow
from worker import ledger, quarantine
from worker.classify import classify
from worker.models import register
from worker.reading import SlideReader
from worker.record import record


A, B = "a" * 64, "b" * 64


def die(store, content, revision=1, ended="was ended by SIGSEGV"):
    with store.write() as session:
        return quarantine.count_death(session, content, revision, ended)


def test_one_death_alone_makes_a_suspect_and_the_second_a_prisoner(store):
    assert not die(store, A)
    assert quarantine.suspects(store) == quarantine.Suspects(frozenset(), frozenset({A}))
    assert quarantine.entries(store) == []
    assert die(store, A)
    assert quarantine.suspects(store) == quarantine.Suspects(frozenset({A}), frozenset())
    (entry,) = quarantine.entries(store)
    assert (entry.sha256, entry.deaths, entry.ended) == (A, 2, "was ended by SIGSEGV")
    since = entry.quarantined_at
    assert die(store, A)  # a worker that had not heard of it yet
    (entry,) = quarantine.entries(store)
    assert (entry.deaths, entry.quarantined_at) == (3, since)
    assert quarantine.in_quarantine(store) == 1


def test_deaths_of_one_content_are_counted_wherever_it_lies(store):
    die(store, A, revision=1)
    assert die(store, A, revision=2)
    assert not die(store, B, revision=2)


def test_a_suspect_that_came_through_is_acquitted_and_a_prisoner_never_is(store):
    die(store, A)
    quarantine.acquit(store, A)
    assert quarantine.suspects(store).suspected == frozenset()
    assert not die(store, A)
    die(store, A)
    quarantine.acquit(store, A)
    assert quarantine.suspects(store).quarantined == {A}


def test_entries_are_found_by_their_first_digits(store):
    for content in (A, B):
        die(store, content)
        die(store, content)
    assert [e.sha256 for e in quarantine.entries(store)] == [A, B]
    assert [e.sha256 for e in quarantine.entries(store, "BBBBBB")] == [B]
    assert quarantine.entries(store, "%") == []


@pytest.fixture
def recorded(store, drop, make_slide, queue_slide, bundle, fake_engine):
    """Two slides that hold one picture in common, classified; (the content, the two revisions)."""
    register(store, bundle)
    reader, revisions = SlideReader(1), []
    for name, first in (("S-1", 0), ("S-2", 2)):
        make_slide(drop, name, 3, first=first)
        revisions.append(queue_slide(store, name))
        claim = ledger.claim(store, revisions[-1], "w")
        chunks = list(reader.read(drop, name, layout("slides").look(drop, name), profile("di60")))
        record(store, claim, classify(chunks, bundle, fake_engine, min_cells=1, low_count_cells=1), "x")
    reader.close()
    return chunks[0][0].sha256, revisions


def test_every_place_of_a_content_is_shown_and_its_slides_are_those_let_go(store, recorded):
    content, revisions = recorded
    die(store, content)
    die(store, content)
    (entry,) = quarantine.entries(store)
    assert entry.places == (("default", "S-1", "cell_002.jpg"), ("default", "S-2", "cell_002.jpg"))
    assert entry.to_object()["places"][1] == {"source": "default", "slide_id": "S-2", "file": "cell_002.jpg"}
    holders = quarantine.holders(store, [content])
    assert [h.revision for h in holders] == revisions
    assert [(h.source, h.folder) for h in holders] == [("default", "S-1"), ("default", "S-2")]
    assert ledger.let_out(store, [content], [h.revision for h in holders]) == 2
    assert quarantine.entries(store) == []
    assert ledger.to_publish(store, 9) == revisions
    assert ledger.claim(store, revisions[0], "w").attempts == 1
    with store.read() as session:
        lines = session.exec(select(AuditRow).order_by(AuditRow.number)).all()
    assert [line.action for line in lines] == ["release from quarantine", "retry", "retry"]
    assert lines[0].after == {"pictures": [content]}
    assert verify(store).problem is None


def test_letting_go_of_nothing_queues_nothing(store, recorded):
    for contents in ([], [A]):
        assert quarantine.holders(store, contents) == []
        assert ledger.let_out(store, contents, []) == 0


def test_a_release_that_breaks_off_has_released_nothing(store, recorded, monkeypatch):
    content, revisions = recorded
    die(store, content)
    die(store, content)

    def killed(*_):
        raise SystemExit

    monkeypatch.setattr(ledger, "_queue_again", killed)
    with pytest.raises(SystemExit):
        ledger.let_out(store, [content], revisions)
    assert [entry.sha256 for entry in quarantine.entries(store)] == [content]
