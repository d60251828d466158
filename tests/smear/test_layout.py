"""Where slides and their pictures are found, and what is left alone."""

import os

import pytest

from smear.files import Stat
from smear.layout import LAYOUTS, is_blood, layout


SLIDES, CLASSES = layout("slides"), layout("classes")
#: Those under whose root each folder is a slide; `dated` and `flat` have tests of their own.
FOLDERS = {name: how for name, how in LAYOUTS.items() if name in {"slides", "classes", "manifest"}}


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def signature(how, root, folder="S"):
    """As a survey tells it, which looks at no file."""
    return {found: told for _, found, told in how.survey(root)}[folder]


def names(listing):
    return [p.path for p in listing.pictures]


def test_every_folder_of_the_root_is_a_slide_but_hidden_ones_files_and_links(tmp_path):
    touch(tmp_path / "S-1" / "a.jpg", tmp_path / ".trash" / "a.jpg", tmp_path / "stray.jpg", tmp_path / "S 2" / "b.bmp")
    (tmp_path / "link").symlink_to(tmp_path / "S-1")
    for how in FOLDERS.values():
        assert sorted(how.slides(tmp_path)) == [("S 2", "S 2"), ("S-1", "S-1")]


def test_only_finished_pictures_of_a_known_kind_are_listed_whatever_their_case(tmp_path):
    slide = tmp_path / "S"
    wanted = ["A.JPG", "b.jpeg", "c.PNG", "d.bmp", "e.Tiff", "zählung.jpg", "細胞.png"]
    unwanted = [".hidden.jpg", "x.jpg.tmp", "x.jpg.part", "~x.jpg~", "notes.txt", "jpg", "Thumbs.db", "slide.json"]
    touch(*(slide / name for name in wanted + unwanted))
    (slide / "folder.jpg").mkdir()
    (slide / "link.jpg").symlink_to("A.JPG")
    os.mkfifo(slide / "pipe.png")
    assert names(SLIDES.look(tmp_path, "S")) == sorted([*wanted, "link.jpg", "pipe.png"])


def test_names_that_are_no_utf8_are_listed_and_can_be_opened(tmp_path):
    slide = tmp_path / "S"
    slide.mkdir()
    (slide / os.fsdecode(b"z\xe4hlung.jpg")).write_bytes(b"x")
    (found,) = SLIDES.look(tmp_path, "S").pictures
    assert os.fsencode(found.path) == b"z\xe4hlung.jpg"


def test_a_picture_is_listed_with_its_stat_and_without_a_class(tmp_path):
    touch(tmp_path / "S" / "a.jpg")
    (found,) = SLIDES.look(tmp_path, "S").pictures
    assert found.stat == Stat.of((tmp_path / "S" / "a.jpg").stat())
    assert found.analyser_class is None


@pytest.mark.parametrize("how", FOLDERS.values(), ids=FOLDERS)
def test_marker_and_sidecar_are_seen(tmp_path, how):
    touch(tmp_path / "S" / "a.jpg")
    bare = how.look(tmp_path, "S")
    assert (bare.complete_marker, bare.sidecar) == (False, None)
    touch(tmp_path / "S" / ".complete", tmp_path / "S" / "slide.json")
    full = how.look(tmp_path, "S")
    assert full.complete_marker
    assert full.sidecar == Stat.of((tmp_path / "S" / "slide.json").stat())
    assert full.sidecar_name == "slide.json"


def test_in_classes_pictures_lie_a_folder_deeper_and_keep_the_analysers_opinion(tmp_path):
    touch(
        tmp_path / "S" / "NEU" / "2.jpg",
        tmp_path / "S" / "EO" / "1.jpg",
        tmp_path / "S" / "stray.jpg",
        tmp_path / "S" / ".cache" / "9.jpg",
        tmp_path / "S" / "NEU" / "deeper" / "8.jpg",
    )
    (tmp_path / "S" / "LINK").symlink_to(tmp_path / "S" / "EO")
    found = CLASSES.look(tmp_path, "S").pictures
    assert [(p.path, p.analyser_class) for p in found] == [("EO/1.jpg", "EO"), ("NEU/2.jpg", "NEU")]


@pytest.mark.parametrize("how", FOLDERS.values(), ids=FOLDERS)
def test_the_signature_changes_when_a_name_comes_or_goes_and_needs_no_look_at_files(tmp_path, how):
    picture = tmp_path / "S" / "NEU" / "1.jpg" if how is CLASSES else tmp_path / "S" / "1.jpg"
    touch(picture)
    seen = [how.look(tmp_path, "S").signature]
    assert signature(how, tmp_path) == seen[0]
    for change in (lambda: touch(picture.with_name("2.jpg")), picture.unlink):
        # A folder's time is as fine as the kernel's tick; here it is set, so that the test need not wait for one.
        change()
        os.utime(picture.parent, ns=(len(seen) * 10**18, len(seen) * 10**18))
        seen.append(signature(how, tmp_path))
        assert how.look(tmp_path, "S").signature == seen[-1]
    assert len(set(seen)) == 3


def test_a_new_class_folder_changes_the_signature(tmp_path):
    touch(tmp_path / "S" / "NEU" / "1.jpg")
    before = signature(CLASSES, tmp_path)
    touch(tmp_path / "S" / "EO" / "1.jpg")
    assert signature(CLASSES, tmp_path) != before


def test_a_slide_that_is_gone_or_a_link_raises(tmp_path):
    touch(tmp_path / "S" / "1.jpg")
    (tmp_path / "link").symlink_to("S")
    for how in FOLDERS.values():
        with pytest.raises(FileNotFoundError):
            how.look(tmp_path, "gone")
        with pytest.raises(OSError, match="link"):
            how.look(tmp_path, "link")
        assert [folder for _, folder, _ in how.survey(tmp_path)] == ["S"]


@pytest.mark.parametrize(
    ("path", "slide"),
    [("S-1/a.jpg", "S-1"), ("S-1", "S-1"), ("S-1/NEU/a.jpg", "S-1"), (".x/a.jpg", None), ("", None)],
)
def test_a_path_belongs_to_the_first_folder_in_it(path, slide):
    for how in FOLDERS.values():
        assert how.slide_of(path) == (None if slide is None else (slide, slide))


def test_a_folder_given_by_a_person_is_a_slide_where_pictures_lie_as_the_layout_says(tmp_path):
    touch(tmp_path / "S" / "1.jpg", tmp_path / "C" / "NEU" / "1.jpg", tmp_path / "T" / "readme.txt")
    assert [SLIDES.is_slide(tmp_path / name) for name in ("S", "C", "T", ".")] == [True, False, False, False]
    assert [CLASSES.is_slide(tmp_path / name) for name in ("S", "C", "T", ".")] == [False, True, False, True]


def test_an_unknown_layout_is_refused_with_those_there_are():
    with pytest.raises(
        ValueError, match=r"^no layout 'heap'; there are: slides, classes, dated, flat, manifest, flat:PATTERN$"
    ):
        layout("heap")


def test_body_fluid_and_control_slides_are_no_blood():
    default = r"^(BFS|QC)"
    assert [is_blood(name, default) for name in ("BFS-12", "QC1", "S-1", "XBFS")] == [False, False, True, True]


@pytest.mark.parametrize(("there", "counts"), [
    (["slide.csv", "slide.xml", "slide.json"], "slide.json"), (["slide.csv", "slide.xml"], "slide.xml"),
    (["SLIDE.CSV"], "SLIDE.CSV"), (["other.json", "slide.jsonl"], None),
])  # fmt: skip
def test_of_several_sidecars_one_counts_in_any_case(tmp_path, there, counts):
    touch(tmp_path / "S" / "a.jpg", *(tmp_path / "S" / name for name in there))
    assert SLIDES.look(tmp_path, "S").sidecar_name == counts


def test_a_folder_whose_name_is_no_utf8_is_a_slide_with_a_name_that_can_be_stored(tmp_path):
    name = os.fsdecode(b"M\xfcller")
    touch(tmp_path / name / "NEU" / "a.jpg", tmp_path / name / "b.jpg")
    for how in FOLDERS.values():
        assert list(how.slides(tmp_path)) == [("M\\xfcller", name)]
        assert how.slide_of(f"{name}/a.jpg") == ("M\\xfcller", name)
        assert len(how.look(tmp_path, name).pictures) == 1


def test_the_news_of_a_root_change_when_a_slide_comes(tmp_path):
    for how in LAYOUTS.values():
        before = how.news(tmp_path)
        assert how.news(tmp_path) == before
        os.utime(tmp_path, ns=(0, tmp_path.stat().st_mtime_ns + 10**9))
        assert how.news(tmp_path) != before
        with pytest.raises(FileNotFoundError):
            how.news(tmp_path / "gone")


@pytest.mark.parametrize(
    ("name", "path", "why"),
    [
        ("slides", "S/a.jpg", None),
        ("slides", "S/.complete", None),
        ("slides", "S/Slide.XML", None),
        ("slides", "a.jpg", "outside every slide"),
        ("slides", "S/x/a.jpg", "deeper"),
        ("slides", "S/notes.txt", "no picture: .txt"),
        ("slides", "S/.a.jpg", "hidden"),
        ("slides", ".trash/S.json", "hidden"),
        ("slides", "S/manifest.csv", "no picture"),
        ("manifest", "S/manifest.csv", None),
        ("classes", "S/NEU/a.jpg", None),
        ("classes", "S/slide.json", None),
        ("classes", "S/a.jpg", "no class"),
        ("classes", "S/NEU/deep/a.jpg", "deeper"),
        ("dated", "20261123/S/a.jpg", None),
        ("dated", "20261123/S/slide.csv", None),
        ("dated", "20261123/a.jpg", "outside every slide"),
        ("dated", "20261323/S/a.jpg", "no date"),
        ("dated", "a.jpg", "outside every day"),
        ("flat", "S-1_7.jpg", None),
        ("flat", "S-1.jpg", "does not match"),
        ("flat", "x/S-1_7.jpg", "in a folder"),
    ],
)
def test_what_matches_nothing_is_told_why(name, path, why):
    said = layout(name).stranger(path)
    assert said is None if why is None else why in said
