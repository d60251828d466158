"""Whatever refers to a slide, a revision or a cell is removed with it or makes it stay: for watcher and purge."""

from datetime import timedelta

import pytest
from sqlalchemy import insert
from sqlmodel import SQLModel, select

from smear.review_tables import CommentRow, UserRow
from smear.tables import (
    BundleRow,
    CellRow,
    DifferentialRow,
    PictureRow,
    PredictionRow,
    RevisionRow,
    SlideRow,
    UtcTime,
    key,
    utc_now,
)
from worker import arrivals
from worker.forgetting import REMOVED, references
from worker.purge import purge


PARTS = {"slides", "revisions", "cells"}
FROM_PEOPLE = {"labels", "changes", "signatures", "comments", "reference_cells"}


def values(table, numbers):
    """A row of any table: foreign keys where `numbers` says, anything in every other column that needs a value."""
    told = {}
    for column in table.columns:
        if column.foreign_keys:
            told[column.name] = numbers[next(iter(column.foreign_keys)).column.table.name]
        elif isinstance(column.type, UtcTime):
            told[column.name] = utc_now()
        elif not column.nullable and not column.primary_key:
            told[column.name] = {int: 0, bool: False, dict: {}}.get(column.type.python_type, "x")
    return told


@pytest.fixture
def old_slide(store, drop):
    """A slide of one cell that ended 40 days ago and whose folder is gone, with a row of every table in REMOVED."""
    source = arrivals.register_source(store, arrivals.Source("default", drop, "slides", "di60"))
    (drop / "another").mkdir()
    with store.write() as session:
        user = UserRow(name="maria", full_name="M", role="technologist", password_hash="", must_change=False,
                       active=True, created_at=utc_now())  # fmt: skip
        bundle = BundleRow(bundle_id="b@1", folder="b", registered_at=utc_now())
        slide = SlideRow(source_id=source, slide_id="old", folder="old", first_seen_at=utc_now())
        session.add_all([user, bundle, slide])
        session.flush()
        revision = RevisionRow(slide=key(slide.id), number=1, state="classified", arrived_at=utc_now(),
                               finished_at=utc_now() - timedelta(days=40))  # fmt: skip
        cell = CellRow(slide=key(slide.id), sha256="a" * 64)
        session.add_all([revision, cell])
        session.flush()
        numbers = {
            "slides": slide.id,
            "revisions": revision.id,
            "cells": cell.id,
            "users": user.id,
            "bundles": bundle.id,
        }
        session.add(
            PictureRow(revision=revision.id, path="c.jpg", cell=cell.id, size=1, mtime_ns=1, ctime_ns=1, inode="1")
        )
        session.add(PredictionRow(cell=cell.id, bundle=bundle.id, state="classified"))
        counts = dict.fromkeys(("total", "classified", "outside", "misfit", "unreadable", "neutrophil", "eosinophil",
                                "basophil", "lymphocyte", "monocyte"), 0)  # fmt: skip
        session.add(DifferentialRow(revision=revision.id, bundle=bundle.id, backend="f", problems=[],
                                    created_at=utc_now(), **counts))  # fmt: skip
        session.execute(
            insert(SQLModel.metadata.tables["reviews"]).values(revision=revision.id, version=1, held_by=user.id)
        )
    return numbers


def counted(store, table):
    with store.read() as session:
        return len(session.execute(select(table)).all())


def test_every_table_that_refers_to_a_slide_is_removed_with_it_or_holds_what_people_left():
    referring = {
        table.name
        for table in SQLModel.metadata.sorted_tables
        for key_ in table.foreign_keys
        if key_.column.table.name in PARTS
    }
    assert {table.name for table, _, _ in references()} == referring
    assert referring | PARTS == {row.__tablename__ for row in REMOVED} | FROM_PEOPLE


def test_a_purged_slide_leaves_no_row_in_any_table(store, settings, old_slide):
    assert purge(store, settings, 30, dry_run=False).slides == 1
    for row in REMOVED:
        assert counted(store, row.__table__) == 0


@pytest.mark.parametrize("name", sorted(FROM_PEOPLE))
def test_whatever_a_person_left_makes_a_slide_stay_whatever_its_state_says(store, settings, old_slide, name):
    table = SQLModel.metadata.tables[name]
    with store.write() as session:
        session.execute(insert(table).values(**values(table, old_slide)))
    assert purge(store, settings, 30, dry_run=False).slides == 0
    assert counted(store, table) == 1
    assert counted(store, SlideRow.__table__) == 1


# --- the watcher takes back a first sight -----------------------------------------------------------------------------


@pytest.fixture
def arriving(store, drop):
    source = arrivals.register_source(store, arrivals.Source("default", drop, "slides", "di60"))
    return arrivals.open_slide(store, source, "S-1", "S-1")


def test_a_first_sight_is_taken_back_with_all_that_belongs_to_it(store, arriving):
    with store.write() as session:
        session.execute(insert(SQLModel.metadata.tables["reviews"]).values(revision=arriving.revision, version=0))
    assert arrivals.forget(store, arriving)
    assert [counted(store, table) for table in (SlideRow.__table__, RevisionRow.__table__)] == [0, 0]


def test_a_slide_on_which_somebody_remarked_while_it_arrived_stays(store, arriving, old_slide):
    with store.write() as session:
        remark = {"slide": arriving.slide, "revision": arriving.revision, "user": old_slide["users"]}
        session.add(CommentRow(**remark, at=utc_now(), text="the barcode is wrong"))
    assert not arrivals.forget(store, arriving)
    assert arrivals.known_slide(store, 1, "S-1").state == "arriving"


def test_a_slide_that_was_read_already_is_not_taken_back(store, arriving):
    with store.write() as session:
        session.get_one(RevisionRow, arriving.revision).attempts = 1
    assert not arrivals.forget(store, arriving)
    assert not arrivals.forget(store, arrivals.Known(99, 99, 1, "arriving", None, None))
