"""Layout `flat`: all files in one folder, told apart by their names."""

import os

import pytest

from smear.layout import layout
from smear.layouts import flat
from smear.layouts.flat import FlatLayout


def touch(root, *names):
    for name in names:
        (root / name).write_bytes(b"x")


def paths(listing):
    return [p.path for p in listing.pictures]


def test_the_pattern_names_slide_and_cell(tmp_path):
    touch(
        tmp_path, "S-1_001.jpg", "S-1_002.BMP", "S_2_001.png", "S-1.jpg", "notes.txt", ".S-1_9.jpg", "S-1_003.jpg.tmp"
    )
    (tmp_path / "S-3_001.jpg").mkdir()
    how = layout("flat")
    assert sorted(how.slides(tmp_path)) == [("S-1", "S-1"), ("S_2", "S_2")]
    found = how.look(tmp_path, "S-1")
    assert (paths(found), found.folder) == (["S-1_001.jpg", "S-1_002.BMP"], ".")
    assert {f: s for _, f, s in how.survey(tmp_path)}["S-1"] == found.signature
    with pytest.raises(FileNotFoundError):
        how.look(tmp_path, "S-9")


def test_a_pattern_of_ones_own_may_name_the_analysers_class(tmp_path):
    how = layout(r"flat:(?P<slide>\d{4,8})-(?P<class>[A-Z]+)-(?P<cell>\d+)\.jpg")
    touch(tmp_path, "1234-NEU-1.jpg", "1234-EO-2.jpg", "12-NEU-1.jpg", "S-1_001.jpg")
    assert [(p.path, p.analyser_class) for p in how.look(tmp_path, "1234").pictures] == [
        ("1234-EO-2.jpg", "EO"), ("1234-NEU-1.jpg", "NEU"),
    ]  # fmt: skip
    assert list(how.slides(tmp_path)) == [("1234", "1234")]


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(", "not a regular expression"),
        ("(?P<slide>.+)", "lacks (?P<cell>...)"),
        ("x", "(?P<cell>...) and (?P<slide>"),
    ],
)
def test_a_pattern_that_names_too_little_is_refused(pattern, why):
    with pytest.raises(ValueError, match=r"flat|regular") as refused:
        layout(f"flat:{pattern}")
    assert why in str(refused.value)


def test_marker_and_sidecar_stand_beside_under_the_slides_name(tmp_path):
    how = layout("flat")
    touch(tmp_path, "S-1_1.jpg", "S-2_1.jpg", "S-1.complete", "S-1.XML", "S-9.json")
    found = how.look(tmp_path, "S-1")
    assert (found.complete_marker, found.sidecar_name) == (True, "S-1.XML")
    assert (how.look(tmp_path, "S-2").complete_marker, how.look(tmp_path, "S-2").sidecar_name) == (False, None)
    assert [how.slide_of(n) for n in ("S-1_1.jpg", "S-1.complete", "S-1.json", "x.txt", "a/S-1_1.jpg")] == [
        ("S-1", "S-1"), ("S-1", "S-1"), ("S-1", "S-1"), None, None,
    ]  # fmt: skip


def test_the_signature_changes_with_the_names_of_its_own_files_alone(tmp_path):
    how = FlatLayout()
    touch(tmp_path, "S-1_1.jpg", "S-2_1.jpg")
    before = how.look(tmp_path, "S-1").signature
    touch(tmp_path, "S-2_2.jpg")
    assert how.look(tmp_path, "S-1").signature == before
    touch(tmp_path, "S-1_2.jpg")
    assert how.look(tmp_path, "S-1").signature != before


def test_a_folder_that_stood_still_is_listed_once_for_all_its_slides(tmp_path, monkeypatch):
    how = FlatLayout()
    touch(tmp_path, *(f"S-{n}_1.jpg" for n in range(20)))
    listed, scandir = [], os.scandir
    monkeypatch.setattr(flat.os, "scandir", lambda path: listed.append(path) or scandir(path))
    how.look(tmp_path, "S-1")
    how.look(tmp_path, "S-2")
    assert len(listed) == 2  # it has only just changed: another file may have come within the same tick
    os.utime(tmp_path, ns=(1, 1))
    for n in range(20):
        how.look(tmp_path, f"S-{n}")
    assert len(listed) == 3
    touch(tmp_path, "S-1_2.jpg")
    assert paths(how.look(tmp_path, "S-1")) == ["S-1_1.jpg", "S-1_2.jpg"]


def test_names_that_are_no_utf8_keep_their_bytes(tmp_path):
    name = os.fsdecode(b"M\xfcller_1.jpg")
    touch(tmp_path, name)
    ((slide_id, folder),) = layout("flat").slides(tmp_path)
    assert (slide_id, paths(layout("flat").look(tmp_path, folder))) == ("M\\xfcller", [name])
