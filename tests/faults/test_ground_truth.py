"""The comparison sees what it is there to see: each kind of loss, doubling and error is found, and nothing else."""

import pytest
from faults.ground_truth import compare
from sqlalchemy import delete, update
from sqlmodel import col, select

from smear import bundle as bundles
from smear.geometry import profile
from smear.layout import layout
from smear.settings import Settings, Source
from smear.shipped import shipped_bundle
from smear.tables import (
    CellRow,
    DifferentialRow,
    PictureRow,
    PredictionRow,
    RevisionRow,
    SlideRow,
    new_identity,
    utc_now,
)
from worker import arrivals, ledger
from worker.classify import classify
from worker.engines.openvino import OpenVinoEngine
from worker.models import register
from worker.reading import SlideReader
from worker.record import record


@pytest.fixture(scope="module")
def results(pool):
    """What the worker's own code makes of three of the pool's slides."""
    bundle, reader, defaults = bundles.load(shipped_bundle()), SlideReader(), Settings(_env_file=None)
    engine = OpenVinoEngine(bundle.network)

    def make(number):
        folder = pool.slide(number)
        listing = layout("slides").look(folder.parent, folder.name)
        chunks = reader.read(folder.parent, folder.name, listing, profile("di60"))
        least = {"min_cells": defaults.min_cells, "low_count_cells": defaults.low_count_cells}
        return classify(chunks, bundle, engine, **least)

    yield bundle, [make(number) for number in range(3)]
    reader.close()


@pytest.fixture
def done(sqlite_store, results, pool):
    """(store, truth) of three slides that were done right."""
    bundle, made = results
    register(sqlite_store, bundle)
    source = arrivals.register_source(sqlite_store, Source("default", pool.folder, "slides", "di60"))
    truth = {}
    for number, result in enumerate(made):
        name = f"T-{number}"
        known = arrivals.open_slide(sqlite_store, source, name, name)
        arrivals.settle(sqlite_store, known.revision, None, blood=True)
        claim = ledger.claim(sqlite_store, known.revision, "w")
        record(sqlite_store, claim, result, "signature")
        truth[name] = pool.expected(number, name)
    return sqlite_store, truth


def counted(done, prefix=""):
    verdict = compare(*done, prefix)
    return verdict.missing, verdict.twice, verdict.wrong


def change(store, statement):
    with store.write() as session:
        session.execute(statement)


def test_what_was_done_right_is_right_to_the_last_digit(done):
    assert counted(done) == (0, 0, 0)


def test_a_slide_that_nobody_saw_is_missing(done, pool):
    done[1]["T-9"] = pool.expected(9, "T-9")
    assert counted(done) == (1, 0, 0)


@pytest.mark.parametrize("state", ["queued", "arriving"])
def test_a_slide_that_is_not_done_is_missing(done, state):
    change(done[0], update(RevisionRow).where(col(RevisionRow.id) == 2).values(state=state))
    assert counted(done) == (1, 0, 0)


def test_a_slide_whose_result_is_gone_is_missing(done):
    change(done[0], delete(DifferentialRow).where(col(DifferentialRow.revision) == 2))
    assert counted(done) == (1, 0, 0)


def test_a_revision_too_many_is_one_slide_twice(done):
    store, _ = done
    with store.write() as session:
        for table, key in ((RevisionRow, RevisionRow.id), (DifferentialRow, DifferentialRow.revision)):
            row = session.exec(select(table).where(key == 1)).one()
            values = row.model_dump() | {"id": None}
            other = {"number": 2, "identity": new_identity()} if table is RevisionRow else {"revision": 4}
            session.add(table(**values | other))
            session.flush()
    assert counted(done) == (0, 1, 0)


def test_a_slide_that_nobody_dropped_is_one_too_many_and_others_are_not_looked_at(done):
    store, _ = done
    with store.write() as session:
        for name in ("T-7", "else"):
            session.add(SlideRow(source_id=1, slide_id=name, folder=name, first_seen_at=utc_now()))
    assert counted(done, "T-") == (0, 1, 0)


@pytest.mark.parametrize(
    ("table", "values"),
    [
        (RevisionRow, {"state": "failed"}),
        (DifferentialRow, {"neutrophil": 99}),
        (DifferentialRow, {"unreadable": 1}),
        (DifferentialRow, {"backend": "other"}),
        (DifferentialRow, {"problems": [{"file": "x", "reason": "y"}]}),
        (DifferentialRow, {"percent": {"neutrophil": 1.0}}),
        (PredictionRow, {"cell_type": "basophil"}),
        (PredictionRow, {"state": "outside"}),
        (PredictionRow, {"p_monocyte": 0.1234567}),
        (PictureRow, {"problem": "something"}),
        (PictureRow, {"path": "other.jpg"}),
        (CellRow, {"sha256": "0" * 64}),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else next(iter(value)),
)
def test_any_other_value_is_wrong(done, table, values):
    change(done[0], update(table).where(col(table.id) == 1).values(**values))
    assert counted(done) == (0, 0, 1)


def test_a_lost_row_is_wrong(done):
    change(done[0], delete(PictureRow).where(col(PictureRow.id) == 3))
    assert counted(done) == (0, 0, 1)


def test_digits_may_differ_only_where_the_slide_was_tried_again(done):
    store, _ = done
    with store.read() as session:
        before = session.get_one(PredictionRow, 1).p_monocyte
    change(store, update(PredictionRow).where(col(PredictionRow.id) == 1).values(p_monocyte=before + 0.001))
    assert counted(done) == (0, 0, 1)
    change(store, update(RevisionRow).where(col(RevisionRow.id) == 1).values(attempts=2))
    assert counted(done) == (0, 0, 0)
