"""Many slides, odd names, faults: no slide keeps another from coming out."""

import os

import pytest

from worker.watch.source import SourceWatch


def test_one_folder_with_a_name_that_is_no_utf8_does_not_hide_the_others(drop, make_slide, service):
    make_slide(drop, os.fsdecode(b"M\xfcller"), 3)
    make_slide(drop, "S-1", 3)
    make_slide(drop, "T-1", 3)
    service.run(75)
    assert {slide for slide, _ in service.states()} >= {"S-1", "T-1"}
    assert service.states()["S-1", 1] == service.states()["T-1", 1] == "classified"


@pytest.mark.parametrize("name", ["細胞 7", "a'b\"; DROP TABLE slides; --", "%s{}", "ß" * 127])
def test_a_slide_may_have_any_name_that_is_text(drop, make_slide, service, name):
    make_slide(drop, name, 3)
    service.run(75)
    assert service.states() == {(name, 1): "classified"}


def test_an_unchanged_archive_costs_a_scan_no_look_into_its_folders(drop, make_slide, done, monkeypatch):
    for n in range(5):
        make_slide(drop, f"A-{n}", 2, first=n)
    done.run(75)
    looked = []
    how = done.watch._looker.layout

    class FakeLayout(type(how)):
        def look(self, root, folder):
            looked.append(folder)
            return how.look(root, folder)

    done.watch._looker.layout = FakeLayout()
    done.run(130)
    assert looked == []


def test_nothing_in_the_source_is_ever_touched(drop, make_slide, done):
    def seen():
        return {p: (p.lstat().st_mtime_ns, p.lstat().st_ctime_ns, p.lstat().st_mode) for p in drop.rglob("*")}

    make_slide(drop, "S-2", 3)
    (drop / "S-2" / "bad.jpg").write_bytes(b"")
    before = seen()
    done.run(75)
    assert seen() == before


def test_a_fault_over_one_slide_keeps_no_other_from_coming_out(make_service, drop, make_slide, monkeypatch):
    make_slide(drop, "A", 3)
    make_slide(drop, "B", 3)
    look = SourceWatch._look

    def faulty(self, slide_id, *arguments):
        if slide_id == "A":
            raise RuntimeError("a bug")
        return look(self, slide_id, *arguments)

    service = make_service()
    monkeypatch.setattr(SourceWatch, "_look", faulty)
    service.run(30)
    assert service.states()["B", 1] == "classified"
    assert service.states()["A", 1] == "arriving"
    monkeypatch.setattr(SourceWatch, "_look", look)
    service.run(30)
    assert service.states() == {("A", 1): "classified", ("B", 1): "classified"}
