"""Layout `manifest`: what the manifest lists is the slide."""

import hashlib
import json

import pytest

from smear.layout import layout
from smear.layouts.manifest import MISSING, UNLISTED


HOW = layout("manifest")


@pytest.fixture
def slide(tmp_path):
    folder = tmp_path / "S"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg"):
        (folder / name).write_bytes(name.encode())
    return folder


def sha(name):
    return hashlib.sha256(name.encode()).hexdigest()


def write(slide, *names, **more):
    told = {"files": [{"file": n, "sha256": sha(n)} for n in names], **more}
    (slide / "manifest.json").write_text(json.dumps(told))


def told(slide):
    listing = HOW.look(slide.parent, "S")
    return listing.complete_marker, {p.path: (p.sha256, p.problem) for p in listing.pictures}


def test_a_slide_whose_listed_files_are_all_there_is_complete(slide):
    write(slide, "a.jpg", "b.jpg", count=2)
    assert told(slide) == (True, {"a.jpg": (sha("a.jpg"), None), "b.jpg": (sha("b.jpg"), None)})


def test_without_a_manifest_the_pictures_that_are_there_wait(slide):
    assert told(slide) == (False, {"a.jpg": (None, None), "b.jpg": (None, None)})


def test_what_is_missing_and_what_is_not_listed_is_named(slide):
    write(slide, "a.jpg", "c.jpg")
    assert told(slide) == (
        False, {"a.jpg": (sha("a.jpg"), None), "b.jpg": (None, UNLISTED), "c.jpg": (sha("c.jpg"), MISSING)}
    )  # fmt: skip
    (slide / "c.jpg").write_bytes(b"c.jpg")
    assert told(slide)[0]


def test_other_files_that_are_listed_are_waited_for_and_are_no_pictures(slide):
    write(slide, "a.jpg", "b.jpg", "report.pdf", ".complete")
    assert not told(slide)[0]
    (slide / "report.pdf").touch()
    assert told(slide)[0]
    assert set(told(slide)[1]) == {"a.jpg", "b.jpg"}


def test_a_count_that_does_not_agree_is_named_and_the_slide_is_not_complete(slide):
    write(slide, "a.jpg", "b.jpg", count=3)
    complete, pictures = told(slide)
    assert not complete
    assert pictures["manifest.json"] == (None, "the manifest lists 2 files and says 3")


@pytest.mark.parametrize("damage", [b"{", b"", b"[]", b'{"files": [1]}', b'{"files": {"../a.jpg": null}}', b"\xff\xfe"])
def test_a_manifest_that_cannot_be_used_is_named_and_hides_no_picture(slide, damage):
    (slide / "manifest.json").write_bytes(damage)
    complete, pictures = told(slide)
    assert not complete
    assert set(pictures) == {"a.jpg", "b.jpg", "manifest.json"}
    assert pictures["manifest.json"][1].startswith("the manifest cannot be used: ")


def test_a_manifest_that_is_a_link_is_not_followed(slide, tmp_path):
    (tmp_path / "elsewhere.json").write_text("{}")
    (slide / "manifest.json").symlink_to(tmp_path / "elsewhere.json")
    assert "a link" in told(slide)[1]["manifest.json"][1]


def test_names_agree_whatever_their_case_and_accents_where_that_is_unambiguous(slide):
    (slide / "a.jpg").rename(slide / "A\u0308.JPG")
    write(slide, "ä.jpg", "b.jpg")
    assert told(slide) == (True, {"A\u0308.JPG": (sha("ä.jpg"), None), "b.jpg": (sha("b.jpg"), None)})
    (slide / "B.JPG").write_bytes(b"other")
    assert told(slide)[1]["ä.jpg"][1] == MISSING


def test_a_manifest_rewritten_in_place_changes_the_signature(slide):
    write(slide, "a.jpg")
    before = HOW.look(slide.parent, "S").signature
    assert [s for _, _, s in HOW.survey(slide.parent)] == [before]
    write(slide, "a.jpg", "b.jpg")
    after = HOW.look(slide.parent, "S").signature
    assert after != before
    assert [s for _, _, s in HOW.survey(slide.parent)] == [after]
