"""A slide's folder, read: every file comes back as a picture or with its reason, and none holds the others up."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from smear.files import raw
from smear.geometry import profile
from smear.layout import layout
from worker import reading
from worker.reading import SlideChanging, SlideReader, SourceAway, shown


@pytest.fixture
def reader():
    made = SlideReader(2)
    yield made
    made.close()


def look(drop, folder="S-1", how="slides"):
    return layout(how).look(drop, folder)


def read(reader, drop, listing, folder="S-1", **options):
    return [p for chunk in reader.read(drop, folder, listing, profile("di60"), **options) for p in chunk]


def test_good_pictures_come_in_order_with_hash_and_pixels(reader, drop, make_slide):
    make_slide(drop, "S-1", 5)
    listing = look(drop)
    found = read(reader, drop, listing)
    assert [p.path for p in found] == [f"cell_{n:03}.jpg" for n in range(5)]
    assert [p.stat for p in found] == [p.stat for p in listing.pictures]
    assert all(p.pixels.shape == (128, 128, 3) and p.pixels.dtype == np.uint8 for p in found)
    assert len({p.sha256 for p in found}) == 5
    assert not any(p.trouble or p.problem for p in found)


def test_each_broken_file_is_named_and_its_neighbours_are_read(reader, drop, make_slide, tmp_path):
    folder = make_slide(drop, "S-1", 4)
    whole = (folder / "cell_000.jpg").read_bytes()
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "half.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder / "rubbish.png").write_bytes(b"rubbish")
    os.mkfifo(folder / "pipe.bmp")
    Image.new("RGB", (100, 100)).save(folder / "small.png")
    (folder / "scan.tif").write_bytes(b"II*\0....")
    found = {p.path: p for p in read(reader, drop, look(drop))}
    assert {name: (p.trouble, p.problem) for name, p in found.items() if p.trouble} == {
        "empty.jpg": ("unreadable", "empty file"),
        "half.jpg": ("unreadable", "truncated JPEG: its end marker is missing"),
        "link.jpg": ("unreadable", "a link, not a file: links are not followed"),
        "pipe.bmp": ("unreadable", "not a plain file"),
        "rubbish.png": ("unreadable", "not a JPEG, PNG, BMP or TIFF picture"),
        "small.png": ("misfit", "100x100 pixels: profile di60 takes 340 to 400 a side"),
        "scan.tif": ("unreadable", "truncated TIFF: its directory is missing"),
    }
    assert {name for name, p in found.items() if p.sha256 is None} == {"link.jpg", "pipe.bmp"}
    assert sum(p.pixels is not None for p in found.values()) == 4


@pytest.mark.parametrize("n", [1, 3, 4, 7, 8])
def test_nothing_is_lost_at_the_edge_of_a_chunk(reader, drop, make_slide, monkeypatch, n):
    monkeypatch.setattr(reading, "CHUNK", 4)
    make_slide(drop, "S-1", n)
    chunks = list(reader.read(drop, "S-1", look(drop), profile("di60")))
    assert [len(chunk) for chunk in chunks] == [4] * (n // 4) + [n % 4] * bool(n % 4)
    assert len({p.path for chunk in chunks for p in chunk}) == n


def test_an_empty_listing_gives_nothing(reader, drop):
    (drop / "S-1").mkdir()
    assert read(reader, drop, look(drop)) == []


def test_the_analysers_class_comes_along(reader, drop, make_slide):
    make_slide(drop, "S-1/NEU", 2)
    make_slide(drop, "S-1/EO", 1, first=2)
    found = read(reader, drop, look(drop, how="classes"))
    assert [(p.path, p.analyser_class) for p in found] == [
        ("EO/cell_002.jpg", "EO"),
        ("NEU/cell_000.jpg", "NEU"),
        ("NEU/cell_001.jpg", "NEU"),
    ]
    assert all(p.pixels is not None for p in found)


def test_progress_is_told_after_every_picture_good_or_bad(reader, drop, make_slide):
    (make_slide(drop, "S-1", 3) / "bad.jpg").write_bytes(b"")
    told = []
    read(reader, drop, look(drop), progress=lambda: told.append(1))
    assert len(told) == 4


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.EBUSY, errno.ETIMEDOUT])
def test_an_error_that_may_pass_is_waited_for_first_and_recorded_at_last(reader, drop, make_slide, monkeypatch, code):
    make_slide(drop, "S-1", 3)
    real = reading.read_file

    def failing(folder, name):
        if name == "cell_001.jpg":
            raise OSError(code, os.strerror(code))
        return real(folder, name)

    monkeypatch.setattr(reading, "read_file", failing)
    with pytest.raises(SourceAway, match=os.strerror(code)):
        read(reader, drop, look(drop), forgiving=False)
    found = read(reader, drop, look(drop), forgiving=True)
    assert [p.problem for p in found] == [None, f"cannot be read: {os.strerror(code)}", None]


def test_an_error_that_will_not_pass_is_recorded_at_once(reader, drop, make_slide, monkeypatch):
    make_slide(drop, "S-1", 1)

    def failing(*_):
        raise OSError(errno.EOVERFLOW, "Value too large")

    monkeypatch.setattr(reading, "read_file", failing)
    (found,) = read(reader, drop, look(drop), forgiving=False)
    assert (found.trouble, found.problem) == ("unreadable", "cannot be read: Value too large")


def test_a_file_that_goes_while_its_slide_is_read_means_that_the_slide_has_not_settled(reader, drop, make_slide):
    folder = make_slide(drop, "S-1", 3)
    listing = look(drop)
    (folder / "cell_001.jpg").unlink()
    with pytest.raises(SlideChanging, match=r"cell_001\.jpg"):
        read(reader, drop, listing, forgiving=False)
    assert [p.problem for p in read(reader, drop, listing)] == [None, "went away unread", None]


def test_a_slide_that_goes_away_is_away(reader, drop, make_slide):
    folder = make_slide(drop, "S-1", 1)
    listing = look(drop)
    folder.rename(drop / "S-2")
    with pytest.raises(SourceAway, match="is not there"):
        read(reader, drop, listing)
    (drop / "S-1").symlink_to("S-2")
    with pytest.raises(SourceAway, match="cannot be read"):
        read(reader, drop, listing)


def test_names_are_shown_as_text_that_can_be_stored():
    assert shown("zählung.jpg") == "zählung.jpg"
    assert shown(os.fsdecode(b"z\xe4hlung.jpg")) == r"z\xe4hlung.jpg"
    assert shown(os.fsdecode(b"z\xe4hlung.jpg")).encode() != b"z\xe4hlung.jpg"
    assert shown("a" * 255) == str(Path("a" * 255))


@pytest.mark.parametrize("name", ["S\x1b[31m-1", "S\n1", "S\r1", "S\u202egpj.1", "S\x9b31m", "S\u20281", "S\x7f", "\t"])
def test_no_name_steers_a_terminal_or_breaks_a_line_and_each_leads_back(name):
    text = shown(name)
    assert text.isprintable()
    assert text.isascii()
    assert raw(text) == name


def test_a_picture_with_a_name_that_is_no_utf8_is_read(reader, drop, make_slide):
    folder = make_slide(drop, "S-1", 1)
    (folder / "cell_000.jpg").rename(folder / os.fsdecode(b"\xff\xfe.jpg"))
    (found,) = read(reader, drop, look(drop))
    assert found.path == r"\xff\xfe.jpg"
    assert found.pixels is not None


def test_every_file_is_handed_over_to_be_kept_whatever_becomes_of_it(drop, make_slide):
    folder = make_slide(drop, "S-1", 3)
    (folder / "rubbish.jpg").write_bytes(b"rubbish")
    kept = {}
    reader = SlideReader(2, keep=kept.__setitem__)
    listing = layout("slides").look(drop, "S-1")
    chunks = list(reader.read(drop, "S-1", listing, profile("di60")))
    reader.close()
    assert {picture.sha256 for chunk in chunks for picture in chunk} == kept.keys()
    assert b"rubbish" in kept.values()


def test_a_full_disk_costs_a_picture_and_not_the_slide(make_settings, monkeypatch):
    from smear.picture_store import PictureStore
    from worker.keeping import keeper

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PictureStore, "put", full)
    keeper(make_settings())("0" * 64, b"x")
    keeper(make_settings(keep_pictures_days=0))("0" * 64, b"x")
