"""Layout `dated`: a folder a day, and in it a folder a slide."""

import os

import pytest

from smear.layout import layout
from smear.layouts.dated import is_day


DATED = layout("dated")


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


@pytest.mark.parametrize(
    ("name", "day"),
    [("20261123", True), ("20240229", True), ("20230229", False), ("20261301", False), ("2026112", False),
     ("202611230", False), ("\uff12\uff10\uff12\uff16\uff11\uff11\uff12\uff13", False), ("latest", False)],
)  # fmt: skip
def test_a_day_is_a_date(name, day):
    assert is_day(name) is day


def test_slides_lie_in_days_and_a_name_of_every_day_gets_the_days(tmp_path):
    touch(tmp_path / "20261123" / "S-1" / "a.jpg", tmp_path / "20261124" / "QC" / "a.jpg", tmp_path / "old" / "x.jpg")
    touch(tmp_path / "20261123" / "QC" / "a.jpg", tmp_path / "20261123" / ".tmp" / "a.jpg")
    assert sorted(DATED.slides(tmp_path)) == [("QC", "20261123/QC"), ("QC", "20261124/QC"), ("S-1", "20261123/S-1")]
    assert DATED.other_name("QC", "20261124/QC") == "QC@20261124"
    listing = DATED.look(tmp_path, "20261123/S-1")
    assert ([p.path for p in listing.pictures], listing.folder) == (["a.jpg"], "20261123/S-1")
    signatures = {folder: signature for _, folder, signature in DATED.survey(tmp_path)}
    assert signatures["20261123/S-1"] == listing.signature


@pytest.mark.parametrize(
    ("path", "slide"),
    [("20261123/S-1/a.jpg", ("S-1", "20261123/S-1")), ("20261123/S-1", ("S-1", "20261123/S-1")), ("20261123", None),
     ("S-1/a.jpg", None), ("20261123/.x/a.jpg", None), ("", None)],
)  # fmt: skip
def test_a_path_belongs_to_the_folder_in_the_day(path, slide):
    assert DATED.slide_of(path) == slide


def test_the_news_change_when_a_slide_comes_to_a_day_that_was_there(tmp_path):
    touch(tmp_path / "20261123" / "S-1" / "a.jpg")
    before = DATED.news(tmp_path)
    touch(tmp_path / "20261123" / "S-2" / "a.jpg")
    os.utime(tmp_path / "20261123", ns=(1, 1))
    assert DATED.news(tmp_path) != before
