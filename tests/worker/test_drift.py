"""The daily record of drift, from real rows and pictures; written again it is the same; an alarm reaches the status."""

import hashlib
from datetime import timedelta

import pytest
from sqlmodel import select

from smear.cells import CELL_TYPES
from smear.nightly_tables import DriftRow
from smear.picture_store import PictureStore
from smear.tables import (
    BundleRow,
    CellRow,
    PredictionRow,
    RevisionRow,
    SlideRow,
    SourceRow,
    key,
    utc_now,
)
from worker import drift


@pytest.fixture
def day(store, sample_pictures, tmp_path):
    """A slide of 100 cells, classified today: 60 neutrophils, 30 lymphocytes, 10 outside; (store, pictures)."""
    pictures = PictureStore(tmp_path / "pictures")
    with store.write() as session:
        session.add_all([SourceRow(id=1, name="di60", layout="slides", geometry="di60"),
                         BundleRow(id=1, bundle_id="b@1", folder="b", registered_at=utc_now())])  # fmt: skip
        session.flush()
        slide = SlideRow(source_id=1, slide_id="S", folder="S", first_seen_at=utc_now())
        session.add(slide)
        session.flush()
        session.add(RevisionRow(slide=key(slide.id), number=1, state="classified", arrived_at=utc_now(),
                                finished_at=utc_now()))  # fmt: skip
        for number, path in enumerate(sample_pictures[:100]):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            pictures.put(digest, path.read_bytes())
            cell = CellRow(slide=key(slide.id), sha256=digest)
            session.add(cell)
            session.flush()
            said = "neutrophil" if number < 60 else "lymphocyte"
            session.add(PredictionRow(
                cell=key(cell.id), bundle=1, state="classified" if number < 90 else "outside", cell_type=said,
                **{f"p_{t}": 0.9 if t == said else 0.025 for t in CELL_TYPES},
            ))  # fmt: skip
    return store, pictures


def test_a_day_is_written_down_once_however_often_it_is_looked_at(day):
    store, pictures = day
    today = utc_now().date()
    for _ in range(2):
        drift.note(store, pictures, today)
    with store.read() as session:
        (row,) = session.exec(select(DriftRow)).all()
    assert (row.day, row.cells, row.outside, row.confidence) == (today.isoformat(), 100, 0.1, 0.9)
    assert row.mix == pytest.approx({"neutrophil": 0.66667, "lymphocyte": 0.33333} | dict.fromkeys(
        ("eosinophil", "basophil", "monocyte"), 0.0))  # fmt: skip
    assert 20 < row.colour["lightness"] < 220


def test_too_few_cells_make_no_record(day):
    store, pictures = day
    assert drift.note(store, pictures, utc_now().date() + timedelta(days=9)) == 0
    with store.write() as session:
        for row in session.exec(select(PredictionRow).limit(5)):
            session.delete(row)
    assert drift.note(store, pictures, utc_now().date()) == 0
