"""A result is written once, whole, by whoever holds the claim; doing it again changes nothing."""

import dataclasses

import pytest
from sqlmodel import select

from smear.geometry import profile
from smear.layout import layout
from smear.tables import CellRow, DifferentialRow, PictureRow, PredictionRow, RevisionRow
from worker import arrivals, ledger
from worker.classify import classify
from worker.ledger import Fenced
from worker.models import register
from worker.reading import SlideReader
from worker.record import record


@pytest.fixture
def classified(drop, bundle, fake_engine):
    """classified(folder): what a worker makes of the slide in that folder."""
    reader = SlideReader(1)

    def make(folder):
        listing = layout("slides").look(drop, folder)
        chunks = reader.read(drop, folder, listing, profile("di60"))
        return classify(chunks, bundle, fake_engine, min_cells=5, low_count_cells=10)

    yield make
    reader.close()


def rows(store, kind):
    with store.read() as session:
        return session.exec(select(kind)).all()


def test_everything_that_was_found_out_is_stored(store, drop, bundle, make_slide, classified, queue_slide):
    folder = make_slide(drop, "S-1", 6)
    (folder / "broken.jpg").write_bytes(b"rubbish")
    (folder / "link.jpg").symlink_to("cell_000.jpg")
    register(store, bundle)
    claim = ledger.claim(store, queue_slide(store), "w")
    record(store, claim, classified("S-1"), "signature")
    (revision,) = rows(store, RevisionRow)
    assert (revision.state, revision.signature, revision.claimed_by) == ("classified", "signature", None)
    assert len(rows(store, CellRow)) == 7
    pictures = {p.path: p for p in rows(store, PictureRow)}
    assert len(pictures) == 8
    assert pictures["link.jpg"].cell is None
    assert pictures["link.jpg"].problem == "a link, not a file: links are not followed"
    assert int(pictures["cell_000.jpg"].inode) == (folder / "cell_000.jpg").stat().st_ino
    predictions = rows(store, PredictionRow)
    assert sorted(p.state for p in predictions) == ["classified"] * 6 + ["unreadable"]
    for p in predictions:
        five = [p.p_neutrophil, p.p_eosinophil, p.p_basophil, p.p_lymphocyte, p.p_monocyte]
        assert five == [None] * 5 if p.state == "unreadable" else sum(five) == pytest.approx(1, abs=1e-5)
    (differential,) = rows(store, DifferentialRow)
    assert (differential.total, differential.classified, differential.unreadable) == (8, 6, 2)
    assert (differential.remark, differential.backend) == ("low count", "fake-fp32")
    assert {p["file"] for p in differential.problems} == {"broken.jpg", "link.jpg"}


def test_recording_twice_writes_no_new_rows_and_changes_none(
    store, drop, bundle, make_slide, classified, queue_slide, dump
):
    make_slide(drop, "S-1", 6)
    register(store, bundle)
    claim = ledger.claim(store, queue_slide(store), "w")
    result = classified("S-1")
    record(store, claim, result, "signature")
    before = dump(store)
    record(store, claim, result, "signature")
    assert dump(store) == before


@pytest.mark.parametrize("state", ["reviewed", "signed"])
def test_a_claim_that_is_done_never_takes_a_review_back(
    store, drop, bundle, make_slide, classified, queue_slide, dump, state
):
    """Its token still fits: only the state shows that a person has begun since."""
    make_slide(drop, "S-1", 6)
    register(store, bundle)
    claim = ledger.claim(store, queue_slide(store), "w")
    result = classified("S-1")
    record(store, claim, result, "signature")
    with store.write() as session:
        session.get(RevisionRow, claim.revision).state = state
        session.flush()
    before = dump(store)
    with pytest.raises(Fenced):
        record(store, claim, result, "signature")
    ledger.release(store, claim, attempts=1)
    ledger.fail(store, claim, "too late")
    assert dump(store) == before


def test_a_message_thought_lost_changes_nothing_once_its_slide_is_done(
    store, drop, bundle, make_slide, classified, queue_slide, dump
):
    make_slide(drop, "S-1", 6)
    register(store, bundle)
    revision = queue_slide(store)
    ledger.mark_published(store, [revision])
    record(store, ledger.claim(store, revision, "w"), classified("S-1"), "signature")
    before = dump(store)
    ledger.publish_again(store, revision)
    assert dump(store) == before


def test_a_stale_token_writes_nothing_at_all(store, drop, bundle, make_slide, classified, queue_slide, dump):
    make_slide(drop, "S-1", 6)
    register(store, bundle)
    claim = ledger.claim(store, queue_slide(store), "w")
    result = classified("S-1")
    ledger.take_back(store, ledger.held(store)[0])
    before = dump(store)
    for token in (claim.token, claim.token + 9, 0):
        with pytest.raises(Fenced):
            record(store, dataclasses.replace(claim, token=token), result, "signature")
    assert dump(store) == before


def test_a_second_revision_keeps_the_first(store, drop, bundle, make_slide, classified, queue_slide, tmp_path):
    make_slide(drop, "S-1", 6)
    register(store, bundle)
    first = ledger.claim(store, queue_slide(store), "w")
    record(store, first, classified("S-1"), "one")
    source = arrivals.known_slides(store, 1)["S-1"]
    second = arrivals.open_revision(store, source)
    arrivals.settle(store, second.revision, None, blood=True)
    make_slide(drop, "S-1", 2, first=6)
    kept = [row.model_dump() for row in rows(store, DifferentialRow) + rows(store, PictureRow)]
    record(store, ledger.claim(store, second.revision, "w"), classified("S-1"), "two")
    differentials = rows(store, DifferentialRow)
    assert [d.total for d in differentials] == [6, 8]
    assert len(rows(store, CellRow)) == 8  # the six of the first revision are the same cells
    assert len(rows(store, PredictionRow)) == 8
    still = [row.model_dump() for row in differentials + rows(store, PictureRow)]
    assert all(row in still for row in kept)


def test_a_second_attempt_forgets_a_file_that_has_gone(store, drop, bundle, make_slide, classified, queue_slide):
    folder = make_slide(drop, "S-1", 6)
    register(store, bundle)
    claim = ledger.claim(store, queue_slide(store), "w")
    record(store, claim, classified("S-1"), "one")
    (folder / "cell_003.jpg").unlink()
    record(store, claim, classified("S-1"), "two")
    assert len(rows(store, PictureRow)) == 5
    assert [d.total for d in rows(store, DifferentialRow)] == [5]


def test_a_slide_of_nothing_usable_has_failed_with_the_first_reason(
    store, drop, bundle, classified, queue_slide, make_slide
):
    folder = drop / "S-1"
    folder.mkdir()
    register(store, bundle)
    claim = ledger.claim(store, queue_slide(store), "w")
    record(store, claim, classified("S-1"), "none")
    assert rows(store, RevisionRow)[0].reason == "no pictures in its folder"
    (folder / "a.jpg").write_bytes(b"")
    (folder / "b.jpg").write_bytes(b"rubbish")
    record(store, claim, classified("S-1"), "two")
    (revision,) = rows(store, RevisionRow)
    assert revision.state == "failed"
    assert revision.reason == "none of its 2 pictures could be used; a.jpg: empty file"
