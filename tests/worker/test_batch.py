"""Existing slides: what a path stands for, and what becomes of a slide that cannot be read."""

import csv
import io

import numpy as np
import pytest

from smear.geometry import profile
from smear.layout import SlidesLayout, layout
from smear.shipped import shipped_bundle
from smear.store import Store, StoreUnavailable
from worker.batch import CELL_COLUMNS, Batch, NoSlides, SlidePath, bundle_folder, cell_rows, cell_writer, find_slides
from worker.models import register
from worker.reading import SlideReader


SLIDES = layout("slides")


def test_a_path_is_a_slide_or_a_folder_of_slides(drop, make_slide):
    make_slide(drop, "B", 1)
    make_slide(drop, "A", 1)
    (drop / "empty").mkdir()
    assert [s.slide_id for s in find_slides([drop], SLIDES)] == ["A", "B"]
    assert find_slides([drop / "B"], SLIDES) == [SlidePath("B", drop, "B")]
    assert [s.slide_id for s in find_slides([drop / "B", drop], SLIDES)] == ["B", "A", "B"]


def test_a_stray_picture_does_not_hide_the_slides_beside_it(drop, make_slide):
    make_slide(drop, "A", 1)
    (drop / "stray.jpg").write_bytes(b"")
    assert [s.slide_id for s in find_slides([drop], SLIDES)] == [drop.name, "A"]


def test_a_link_given_by_a_person_is_followed(drop, make_slide, tmp_path):
    make_slide(drop, "A", 1)
    (tmp_path / "link").symlink_to(drop)
    assert [s.root for s in find_slides([tmp_path / "link"], SLIDES)] == [drop]


@pytest.mark.parametrize("name", ["nowhere", "file.txt", "empty"])
def test_a_path_without_slides_is_named(tmp_path, name):
    (tmp_path / "file.txt").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoSlides, match=name):
        find_slides([tmp_path / name], SLIDES)


def test_the_wrong_layout_finds_none_and_says_which_it_was(drop, make_slide):
    make_slide(drop, "A", 1)
    with pytest.raises(NoSlides, match="no slide there in layout classes"):
        find_slides([drop / "A"], layout("classes"))


@pytest.fixture
def batch(settings, bundle, fake_engine):
    reader = SlideReader(1)

    def make(engine=fake_engine):
        return Batch(settings, bundle, engine, reader, SLIDES, profile("di60"))

    yield make
    reader.close()


def test_a_slide_becomes_its_object_and_its_cells(drop, make_slide, batch, bundle):
    make_slide(drop, "A", 3)
    told, result = batch().one(SlidePath("A", drop, "A"), lambda: None)
    assert (told["slide_id"], told["state"], told["bundle"]) == ("A", "classified", bundle.bundle_id)
    into = io.StringIO()
    cell_writer(into).writerows(cell_rows("A", result))
    rows = list(csv.DictReader(io.StringIO(into.getvalue())))
    assert tuple(rows[0]) == CELL_COLUMNS
    assert [row["file"] for row in rows] == ["cell_000.jpg", "cell_001.jpg", "cell_002.jpg"]


def test_body_fluid_is_listed_and_not_classified(drop, make_slide, batch, fake_engine):
    make_slide(drop, "BFS-1", 3)
    told, result = batch().one(SlidePath("BFS-1", drop, "BFS-1"), lambda: None)
    assert (told["state"], told["percent"], result) == ("listed", None, None)
    assert fake_engine.batches == []


def test_a_slide_that_cannot_be_read_has_failed_and_the_next_is_classified(drop, make_slide, batch):
    make_slide(drop, "A", 3)
    make = batch()
    told, result = make.one(SlidePath("gone", drop, "gone"), lambda: None)
    assert (told["state"], result) == ("failed", None)
    assert told["problems"] == [{"file": "", "reason": "cannot be read: No such file or directory"}]
    assert make.one(SlidePath("A", drop, "A"), lambda: None)[0]["state"] == "classified"


def test_a_slide_without_a_picture_has_failed_and_says_why(drop, batch):
    (drop / "A").mkdir()
    told, _ = batch().one(SlidePath("A", drop, "A"), lambda: None)
    assert (told["state"], told["problems"]) == ("failed", [{"file": "", "reason": "no pictures in its folder"}])


def test_an_engine_that_answers_nonsense_fails_the_slide_with_the_reason(drop, make_slide, batch, fake_engine):
    class FakeBrokenEngine:
        name = "fake-broken"

        def infer(self, images):
            logits, features = fake_engine.infer(images)
            return np.full_like(logits, np.nan), features

    make_slide(drop, "A", 3)
    told, result = batch(FakeBrokenEngine()).one(SlidePath("A", drop, "A"), lambda: None)
    assert (told["state"], result) == ("failed", None)
    assert "values that are not numbers" in told["problems"][0]["reason"]


def test_the_bundle_is_the_one_that_serves_here_else_the_shipped_one(settings, sqlite_store, bundle, make_settings):
    assert bundle_folder(settings) == shipped_bundle()
    register(sqlite_store, bundle)
    assert bundle_folder(settings) == settings.models_folder / bundle.folder.name
    assert bundle_folder(make_settings(var=settings.var / "fresh")) == shipped_bundle()


def test_a_database_that_is_away_is_no_reason_to_serve_another_bundle(make_settings, tmp_path):
    pytest.importorskip("psycopg")
    with pytest.raises(StoreUnavailable, match="name one with --bundle"):
        bundle_folder(make_settings(database_url=f"postgresql+psycopg://x@/y?host={tmp_path}"))


def test_a_folder_that_cannot_be_entered_fails_alone(drop, make_slide, monkeypatch):
    for name in ("A", "B"):
        make_slide(drop, name, 1)
    real = SlidesLayout.is_slide

    def closed(self, folder):
        if folder.name == "A":
            raise PermissionError(13, "Permission denied")
        return real(self, folder)

    monkeypatch.setattr(SlidesLayout, "is_slide", closed)
    assert [s.slide_id for s in find_slides([drop], SLIDES)] == ["A", "B"]


def test_looking_for_the_bundle_makes_no_database(settings):
    bundle_folder(settings)
    assert not settings.var.exists()
    assert Store(settings.database).file is not None


def test_in_dated_folders_a_path_is_the_root_a_day_or_a_slide(drop, make_slide):
    how = layout("dated")
    for day in ("20261123", "20261124"):
        (drop / day).mkdir()
        make_slide(drop / day, "QC-7", 1)
    make_slide(drop / "20261124", "S-1", 1)
    everything = find_slides([drop], how)
    assert [(s.slide_id, s.folder) for s in everything] == [
        ("QC-7", "20261123/QC-7"), ("QC-7@20261124", "20261124/QC-7"), ("S-1", "20261124/S-1"),
    ]  # fmt: skip
    assert [s.slide_id for s in find_slides([drop / "20261124"], how)] == ["QC-7", "S-1"]
    assert find_slides([drop / "20261124" / "S-1"], how) == [SlidePath("S-1", drop / "20261124", "S-1")]


def test_in_a_flat_folder_slides_are_told_by_names_and_classified(drop, make_slide, batch, tmp_path):
    for n, picture in enumerate(sorted(make_slide(tmp_path, "x", 4).iterdir())):
        picture.rename(drop / f"S-{n % 2}_{n}.jpg")
    how = layout("flat")
    slides = find_slides([drop], how)
    assert [s.slide_id for s in slides] == ["S-0", "S-1"]
    made = batch()
    made._layout = how
    told, _ = made.one(slides[0], lambda: None)
    assert (told["slide_id"], told["state"], told["cells"]["total"], told["problems"]) == ("S-0", "classified", 2, [])
    with pytest.raises(NoSlides, match="in layout flat"):
        find_slides([tmp_path / "x"], how)
