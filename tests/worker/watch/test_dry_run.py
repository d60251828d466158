"""`worker watch --dry-run`: what is there, what matches nothing and why, and no database."""

import os
from pathlib import Path

import pytest

from worker.watch.dry_run import Stranger, dry_run


def test_slides_and_strangers_are_named_and_no_database_is_made(worker, drop, make_slide, json_lines, settings):
    make_slide(drop, "S-1", 3)
    make_slide(drop, "QC-1", 1)
    (drop / "S-1" / "slide.xml").write_text("<s/>")
    (drop / "S-1" / ".complete").touch()
    (drop / "S-1" / "notes.txt").touch()
    (drop / "S-1" / "link.jpg").symlink_to("cell_000.jpg")
    (drop / "S-1" / "deep").mkdir()
    (drop / "S-1" / "deep" / "x.jpg").touch()
    (drop / "stray.jpg").touch()
    (drop / "empty").mkdir()
    (drop / ".trash").mkdir()
    (drop / os.fsdecode(b"M\xfcller")).mkdir()
    done = worker("watch", "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    told = json_lines(done.stdout)
    slides = {one["slide_id"]: one for one in told if "slide_id" in one}
    assert slides["S-1"] == {
        "source": "default", "slide_id": "S-1", "folder": "S-1", "pictures": 4, "complete": True,
        "sidecar": "slide.xml", "blood": True, "problems": [],
        "expected_cells": None,
    }  # fmt: skip
    assert not slides["QC-1"]["blood"]
    assert slides["empty"]["problems"][0]["reason"] == "no pictures: no slide yet"
    assert slides["M\\xfcller"]["pictures"] == 0
    strangers = {one["file"]: one["reason"] for one in told if "file" in one}
    assert set(strangers) == {"S-1/notes.txt", "S-1/link.jpg", "S-1/deep/x.jpg", "stray.jpg", ".trash"}
    assert "no picture: .txt" in strangers["S-1/notes.txt"]
    assert "link" in strangers["S-1/link.jpg"]
    assert not settings.var.exists()


@pytest.mark.parametrize("how", ["dated", "flat", "manifest", "classes"])
def test_every_layout_can_be_tried(worker, drop, make_slide, json_lines, how):
    make_slide(drop, "20261123", 1)
    make_slide(drop / "20261123", "S-1", 1)
    done = worker("watch", "--dry-run", "--json", WNET_LAYOUT=how)
    assert done.returncode == 0, done.stderr
    assert all("reason" in one for one in json_lines(done.stdout) if "file" in one)
    if how == "dated":
        assert [one["slide_id"] for one in json_lines(done.stdout) if "slide_id" in one] == ["S-1"]


def test_a_person_gets_a_table_and_a_line_a_stranger(worker, drop, make_slide):
    make_slide(drop, "S-1", 3)
    (drop / "stray.jpg").touch()
    said = worker("watch", "--dry-run").stdout
    assert "S-1" in said
    assert "stray.jpg: a picture outside every slide's folder" in said
    assert "1 slides; 1 file matches nothing" in said


def test_a_drop_folder_that_is_away_is_named_with_exit_code_one(worker, drop):
    drop.rmdir()
    done = worker("watch", "--dry-run")
    assert done.returncode == 1
    assert "cannot be read: No such file or directory" in done.stdout


def test_json_without_dry_run_is_a_wrong_call(worker):
    done = worker("watch", "--json")
    assert (done.returncode, done.stdout) == (2, "")


def test_a_name_that_would_steer_a_terminal_is_shown_with_escapes(worker, drop, make_slide, json_lines):
    make_slide(drop, "S\x1b[31m-1", 1)
    make_slide(drop, "S\n2", 1)
    said = worker("watch", "--dry-run").stdout
    assert "\x1b" not in said
    assert r"S\x1b[31m-1" in said
    told = json_lines(worker("watch", "--dry-run", "--json").stdout)
    assert [one["slide_id"] for one in told] == [r"S\x0a2", r"S\x1b[31m-1"]


def test_a_file_that_may_not_be_looked_at_hides_no_other(settings, drop, make_slide, monkeypatch):
    make_slide(drop, "S-1", 2)
    make_slide(drop, "S-2", 1)
    (drop / "S-2" / "notes.txt").touch()
    lstat = Path.lstat

    def refused(path):
        if path.parent.name == "S-1":
            raise PermissionError(13, "Permission denied", str(path))
        return lstat(path)

    monkeypatch.setattr(Path, "lstat", refused)
    strangers = {one.file: one.reason for one in dry_run(settings) if isinstance(one, Stranger)}
    assert strangers.keys() == {"S-1/cell_000.jpg", "S-1/cell_001.jpg", "S-2/notes.txt"}
    assert strangers["S-1/cell_000.jpg"] == "cannot be read: Permission denied"
