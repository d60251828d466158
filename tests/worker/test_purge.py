"""What is old and gone is forgotten; what is young, unfinished, signed or still there stays."""

import shutil
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlmodel import select

from smear.geometry import profile
from smear.layout import layout
from smear.review_tables import AuditRow
from smear.tables import CellRow, DifferentialRow, PictureRow, PredictionRow, RevisionRow, SlideRow, utc_now
from worker import arrivals, ledger
from worker import purge as purging
from worker.classify import classify
from worker.models import register
from worker.purge import is_gone, purge
from worker.reading import SlideReader
from worker.record import record


@pytest.fixture
def finished(store, drop, make_slide, queue_slide, bundle, fake_engine):
    """finished(slide_id, days, state): a slide of three cells that ended so many days ago; its revision."""
    register(store, bundle)
    reader = SlideReader(1)

    def make(slide_id, days, state="classified"):
        make_slide(drop, slide_id, 3)
        revision = queue_slide(store, slide_id)
        claim = ledger.claim(store, revision, "w")
        chunks = reader.read(drop, slide_id, layout("slides").look(drop, slide_id), profile("di60"))
        record(store, claim, classify(chunks, bundle, fake_engine, min_cells=1, low_count_cells=1), "x")
        with store.write() as session:
            session.execute(
                update(RevisionRow)
                .where(RevisionRow.id == revision)
                .values(finished_at=utc_now() - timedelta(days=days), state=state)
            )
        return revision

    yield make
    reader.close()


def slides(store):
    with store.read() as session:
        return set(session.exec(select(SlideRow.slide_id)))


def count(store, kind):
    with store.read() as session:
        return len(session.exec(select(kind)).all())


def test_only_slides_that_are_old_unsigned_and_gone_are_forgotten(store, settings, drop, finished):
    finished("old", 40)
    finished("old-failed", 40, "failed")
    finished("young", 20)
    finished("signed", 400, "signed")
    finished("reviewed", 400, "reviewed")
    finished("there", 40)
    for name in ("old", "old-failed", "young", "signed", "reviewed"):
        shutil.rmtree(drop / name)
    dry = purge(store, settings, 30, dry_run=True)
    assert (dry.slides, dry.cells, dry.kept, dry.away) == (2, 6, 1, [])
    assert len(slides(store)) == 6
    assert dry.sentence() == "2 slides with 6 cells would be forgotten; 1 stay, for their folder is still there"
    done = purge(store, settings, 30, dry_run=False)
    assert (done.slides, done.cells, done.kept) == (2, 6, 1)
    assert slides(store) == {"young", "signed", "reviewed", "there"}
    for kind, left in (
        (RevisionRow, 4),
        (DifferentialRow, 4),
        (CellRow, 12),
        (PictureRow, 12),
        (PredictionRow, 12),
    ):
        assert count(store, kind) == left
    assert purge(store, settings, 30, dry_run=False).slides == 0
    with store.read() as session:
        (line,) = session.exec(select(AuditRow)).all()
    assert (line.action, line.after) == ("purge slides", {"slides": [1, 2], "cells": 6})


def test_a_slide_with_one_revision_that_is_young_or_signed_stays_whole(store, settings, drop, finished):
    for name, state in (("reopened", "arriving"), ("signed-once", "signed")):
        revision = finished(name, 400, "signed" if state == "signed" else "classified")
        second = arrivals.open_revision(store, arrivals.known_slide(store, 1, name))
        assert second.revision != revision
        if state == "signed":
            with store.write() as session:
                old = {"state": "classified", "finished_at": utc_now() - timedelta(days=300)}
                session.execute(update(RevisionRow).where(RevisionRow.id == second.revision).values(**old))
        shutil.rmtree(drop / name)
    (drop / "another").mkdir()
    assert purge(store, settings, 30, dry_run=False).slides == 0
    assert slides(store) == {"reopened", "signed-once"}


@pytest.mark.parametrize("away", ["gone", "empty", "unknown"])
def test_while_a_share_is_away_nothing_of_it_is_forgotten(store, settings, drop, finished, away):
    finished("old", 400)
    shutil.rmtree(drop / "old")
    if away == "gone":
        drop.rmdir()
    elif away == "unknown":
        (drop / "another").mkdir()
        settings = settings.model_copy(update={"drop": f"ward={drop}"})
    done = purge(store, settings, 30, dry_run=False)
    assert (done.slides, done.away) == (0, ["default"])
    assert slides(store) == {"old"}


def test_more_slides_than_a_batch_all_go(store, settings, drop, finished, monkeypatch):
    monkeypatch.setattr(purging, "BATCH", 2)
    for n in range(5):
        finished(f"old-{n}", 400)
        shutil.rmtree(drop / f"old-{n}")
    (drop / "another").mkdir()
    assert purge(store, settings, 30, dry_run=False).slides == 5
    assert slides(store) == set()


def test_one_that_was_signed_a_moment_ago_is_not_forgotten(store, settings, drop, finished, monkeypatch):
    revision = finished("old", 400)
    shutil.rmtree(drop / "old")
    (drop / "another").mkdir()
    real = purging.is_gone

    def sign_meanwhile(*place):
        with store.write() as session:
            session.execute(update(RevisionRow).where(RevisionRow.id == revision).values(state="signed"))
        return real(*place)

    monkeypatch.setattr(purging, "is_gone", sign_meanwhile)
    assert purge(store, settings, 30, dry_run=False).slides == 0
    assert slides(store) == {"old"}


def test_only_a_folder_missing_under_a_root_that_is_there_is_gone(tmp_path):
    (tmp_path / "S-1").mkdir()
    assert not is_gone(tmp_path, "S-1")
    assert is_gone(tmp_path, "S-2")
    assert not is_gone(tmp_path / "S-1", "S-2")  # an empty root: an unmounted share
    assert not is_gone(tmp_path / "absent", "S-2")
    assert not is_gone(None, "S-2")


def test_a_slide_without_a_folder_of_its_own_is_there_while_a_file_bears_its_name(tmp_path):
    (tmp_path / "S-1_001.jpg").touch()
    assert not is_gone(tmp_path, "S-1", "flat")
    assert is_gone(tmp_path, "S-2", "flat")


def test_a_slide_that_somebody_remarked_on_stays_and_one_only_looked_at_goes(store, settings, drop, finished):
    from smear.review_tables import CommentRow, ReviewRow, UserRow

    rows = {name: finished(name, 40) for name in ("remarked", "looked-at")}
    (drop / "other").mkdir()
    for name in rows:
        shutil.rmtree(drop / name)
    with store.write() as session:
        session.add(
            UserRow(name="maria", full_name="M", role="technologist", password_hash="", must_change=False, active=True,
                    created_at=utc_now())
        )  # fmt: skip
        session.flush()
        slide = session.exec(select(SlideRow.id).where(SlideRow.slide_id == "remarked")).one()
        session.add(CommentRow(slide=slide, revision=rows["remarked"], user=1, at=utc_now(), text="look again"))
        session.add(ReviewRow(revision=rows["looked-at"], held_by=1, held_at=utc_now()))
    assert purge(store, settings, 30, dry_run=False).slides == 1
    assert slides(store) == {"remarked"}
