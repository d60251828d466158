"""Files that no slide takes are recorded with the reason, once they stand still; and forgotten when they go."""

import os
import shutil

import pytest
from sqlmodel import select

from smear.layout import layout
from smear.tables import IgnoredFileRow, SourceRow
from worker.gaps import gaps
from worker.watch.ignored import IgnoredFiles
from worker.watch.strays import inside, outside


def recorded(store):
    with store.read() as session:
        rows = {row.path: row.reason for row in session.exec(select(IgnoredFileRow))}
        assert session.exec(select(SourceRow.ignored)).one() == len(rows)
        return rows


@pytest.fixture
def strays(drop, make_slide):
    """A drop folder with one of each kind of stray, and what is to be said of each."""
    make_slide(drop, "S-1", 3)
    (drop / "stray.jpg").write_bytes(b"x")
    (drop / "export.zip").write_bytes(b"x")
    (drop / "S-1" / "phone.HEIC").write_bytes(b"x")
    (drop / "S-1" / "notes.txt").write_bytes(b"x")
    (drop / "S-1" / "deep").mkdir()
    (drop / "S-1" / "deep" / "cell.jpg").write_bytes(b"x")
    (drop / "empty").mkdir()
    (drop / "linked.jpg").symlink_to("stray.jpg")
    # None of these is missed by anybody.
    (drop / "S-1" / ".complete").touch()
    (drop / "S-1" / "slide.json").write_text("{}")
    (drop / "S-1" / "Thumbs.db").touch()
    (drop / "S-1" / ".nfs0001").touch()
    (drop / ".trash").mkdir()
    return {
        "stray.jpg": "a picture outside every slide's folder",
        "export.zip": "an archive: unpack it",
        "S-1/phone.HEIC": "this format is not read: .HEIC; pictures end in .bmp, .jpeg, .jpg, .png, .tif, .tiff",
        "S-1/notes.txt": "no picture: .txt; pictures end in .bmp, .jpeg, .jpg, .png, .tif, .tiff",
        "S-1/deep/cell.jpg": "it lies deeper than the slide's folder",
        "empty": "an empty folder",
        "linked.jpg": "a link: links are not followed",
    }


def test_each_kind_of_stray_is_recorded_with_its_reason_and_counted_in_status(strays, either_service):
    either_service.run(150)
    assert recorded(either_service.store) == strays
    with either_service.store.read() as session:
        told = gaps(session)["ignored"]
    assert told["files"] == 7
    assert len(told["examples"]) == 5
    assert told["examples"][0].keys() == {"source", "file", "reason"}


def test_nothing_is_recorded_before_it_stands_still(drop, make_slide, service):
    make_slide(drop, "S-1", 3)
    growing = drop / "export.zip"
    for n in range(60):
        growing.write_bytes(b"x" * (n + 1))
        (drop / "S-1" / f"cell_{n}.jpg.part").touch()
        (drop / "S-1" / f"cell_{n - 1}.jpg.part").unlink(missing_ok=True)
        service.wake("S-1")
        service.run(2)
        assert recorded(service.store) == {}
    service.run(90)
    assert recorded(service.store).keys() == {"export.zip", "S-1/cell_59.jpg.part"}


def test_what_is_gone_is_forgotten_within_a_scan(strays, drop, either_service, later):
    either_service.run(150)
    (drop / "stray.jpg").unlink()
    (drop / "empty").rmdir()
    (drop / "S-1" / "notes.txt").unlink()
    later(drop / "S-1")
    later(drop)
    either_service.run(75)
    left = strays.keys() - {"stray.jpg", "empty", "S-1/notes.txt"}
    assert recorded(either_service.store).keys() == left
    shutil.rmtree(drop / "S-1")
    either_service.run(75)
    assert recorded(either_service.store).keys() == {"export.zip", "linked.jpg"}


def test_an_empty_folder_that_fills_is_a_slide_and_no_stray(drop, make_slide, service, later):
    (drop / "S-1").mkdir()
    service.run(150)
    assert recorded(service.store) == {"S-1": "an empty folder"}
    later(make_slide(drop, "S-1", 3))
    service.run(75)
    assert recorded(service.store) == {}
    assert service.states() == {("S-1", 1): "classified"}


def test_a_restart_forgets_nothing_and_records_nothing_twice(strays, service):
    service.run(150)
    with service.store.read() as session:
        before = {row.path: row.first_seen_at for row in session.exec(select(IgnoredFileRow))}
    service.start()
    service.run(150)
    with service.store.read() as session:
        assert {row.path: row.first_seen_at for row in session.exec(select(IgnoredFileRow))} == before


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("dated", {"S-1.jpg", "note.txt", "incoming/a.jpg", "20261123/b.jpg", "none"}),
        ("flat", {"S-1.jpg", "note.txt", "20261123/b.jpg", "20261123/S-1/c.jpg", "incoming/a.jpg", "none"}),
        ("slides", {"S-1.jpg", "note.txt"}),
        ("classes", {"S-1.jpg", "note.txt"}),
        ("manifest", {"S-1.jpg", "note.txt"}),
    ],
)
def test_outside_the_slides_each_layout_finds_its_own(drop, how, expected):
    for path in ("S-1.jpg", "note.txt", "S-1_7.jpg", "incoming/a.jpg", "20261123/b.jpg", "20261123/S-1/c.jpg"):
        if path == "S-1_7.jpg" and how != "flat":
            continue
        (drop / path).parent.mkdir(parents=True, exist_ok=True)
        (drop / path).touch()
    (drop / "none").mkdir()
    found = [one for one in outside(drop, layout(how)) if one is not None]
    assert {path for path, _ in found} == expected


def test_in_layout_classes_a_picture_in_no_class_is_ignored(drop):
    (drop / "S-1" / "NEU").mkdir(parents=True)
    (drop / "S-1" / "NEU" / "a.jpg").touch()
    (drop / "S-1" / "b.jpg").touch()
    assert inside(drop, "S-1", layout("classes"), pictures=True) == [
        ("S-1/b.jpg", "it lies in the slide's folder, but in no class's")
    ]


def test_of_very_many_a_thousand_are_named_and_all_are_counted(drop, sqlite_store, service, monkeypatch):
    monkeypatch.setattr("worker.watch.ignored.MOST_NAMED", 5)
    for n in range(8):
        (drop / f"{n}.txt").touch()
    service.run(150)
    with sqlite_store.read() as session:
        assert len(session.exec(select(IgnoredFileRow)).all()) == 5
        assert session.exec(select(SourceRow.ignored)).one() == 8
    for n in range(6):
        (drop / f"{n}.txt").unlink()
    service.run(150)
    assert recorded(sqlite_store).keys() == {"6.txt", "7.txt"}


def test_a_name_of_any_kind_and_length_can_be_recorded(drop, service):
    deep = drop
    for _ in range(4):
        deep = deep / ("ü" * 100)
    deep.mkdir(parents=True)
    (deep / ("ü" * 100)).touch()
    (drop / os.fsdecode(b"M\xfcller.txt")).touch()
    (drop / "new\nline.txt").touch()
    service.run(150)
    found = recorded(service.store)
    assert {"M\\xfcller.txt", "new\\x0aline.txt"} < found.keys()
    assert max(map(len, found)) <= 512
    service.run(150)
    assert recorded(service.store) == found


def test_no_file_of_a_slide_is_looked_at_for_it(drop, make_slide, sqlite_store, service, monkeypatch):
    make_slide(drop, "S-1", 3)
    (drop / "stray.txt").touch()
    service.run(150)
    looked = []
    real = IgnoredFiles._stat
    monkeypatch.setattr(IgnoredFiles, "_stat", lambda self, path: looked.append(path) or real(self, path))
    service.run(130)
    assert set(looked) == {"stray.txt"}
