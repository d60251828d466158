"""Stat says what to read, content what is new."""

import os
import shutil

import pytest

from smear.files import FileChanging, Stat, sha256
from smear.layout import layout
from worker.watch.changes import Recorded, Unchanged, any_new_content


@pytest.fixture
def look(drop):
    return lambda: layout("slides").look(drop, "S-1")


@pytest.fixture
def known(drop, make_slide, look):
    folder = make_slide(drop, "S-1", 3)
    return {p.path: Recorded(p.stat, sha256((folder / p.path).read_bytes())) for p in look().pictures}


def names(pictures):
    return [p.path for p in pictures]


def test_what_stands_as_it_was_is_no_suspect_and_neither_is_what_is_gone(drop, known, look):
    assert Unchanged().suspects(1, look(), known) == []
    (drop / "S-1" / "cell_000.jpg").unlink()
    assert Unchanged().suspects(1, look(), known) == []


def test_another_stat_or_name_is_a_suspect(drop, known, look):
    os.utime(drop / "S-1" / "cell_001.jpg", ns=(1, 1))
    (drop / "S-1" / "new.jpg").write_bytes(b"new")
    assert names(Unchanged().suspects(1, look(), known)) == ["cell_001.jpg", "new.jpg"]


def test_what_was_read_and_found_the_same_is_no_suspect_until_it_changes_again(drop, known, look):
    unchanged = Unchanged()
    os.utime(drop / "S-1" / "cell_001.jpg", ns=(1, 1))
    unchanged.remember(1, unchanged.suspects(1, look(), known))
    assert unchanged.suspects(1, look(), known) == []
    assert names(unchanged.suspects(2, look(), known)) == ["cell_001.jpg"]
    os.utime(drop / "S-1" / "cell_001.jpg", ns=(2, 2))
    assert names(unchanged.suspects(1, look(), known)) == ["cell_001.jpg"]


def test_memory_is_bounded(known, look):
    unchanged = Unchanged()
    for revision in range(3000):
        unchanged.remember(revision, list(look().pictures) if revision == 0 else [])
    assert len(unchanged._verified) <= 1000


def test_content_decides_what_is_new(drop, known, look, sample_pictures):
    def new(*wanted):
        return any_new_content(drop, "S-1", [p for p in look().pictures if p.path in wanted], known)

    folder = drop / "S-1"
    assert not new("cell_000.jpg")
    shutil.copyfile(folder / "cell_000.jpg", folder / "copy.jpg")
    assert not new("copy.jpg")
    shutil.copyfile(sample_pictures[9], folder / "fresh.jpg")
    assert new("fresh.jpg")
    # The same name with other bytes is new even where another file of the slide held those bytes.
    shutil.copyfile(folder / "cell_000.jpg", folder / "cell_001.jpg")
    assert new("cell_001.jpg")
    assert not new()


def test_what_gives_no_bytes_is_new_once(drop, known, look):
    (drop / "S-1" / "link.jpg").symlink_to("cell_000.jpg")
    (link,) = (p for p in look().pictures if p.path == "link.jpg")
    assert any_new_content(drop, "S-1", [link], known)
    assert not any_new_content(drop, "S-1", [link], known | {"link.jpg": Recorded(Stat(0, 0, 0, 0), None)})


def test_a_file_that_goes_meanwhile_is_still_changing(drop, known, look):
    pictures = list(look().pictures)
    (drop / "S-1" / "cell_000.jpg").unlink()
    with pytest.raises(FileChanging):
        any_new_content(drop, "S-1", pictures, known)
