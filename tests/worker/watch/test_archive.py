"""Many slides, odd names, faults: no slide keeps another from coming out."""

import os

import pytest
from sqlmodel import select

from smear.tables import DifferentialRow
from worker import arrivals, ledger
from worker.watch import source
from worker.watch.look import Looker


def test_folders_and_files_whose_names_are_no_utf8_come_out_as_any_other(drop, make_slide, service):
    folder = make_slide(drop, os.fsdecode(b"M\xfcller"), 3)
    (folder / "cell_000.jpg").rename(folder / os.fsdecode(b"z\xe4hl.jpg"))
    (folder / os.fsdecode(b"b\xf6s.jpg")).write_bytes(b"rubbish")
    make_slide(drop, "T\\xfc-1", 3)  # a name that looks like what the other is shown as
    service.run(75)
    assert service.states() == {("M\\xfcller", 1): "classified", ("T\\\\xfc-1", 1): "classified"}
    with service.store.read() as session:
        problems = [p["file"] for differential in session.exec(select(DifferentialRow)) for p in differential.problems]
        assert problems == ["b\\xf6s.jpg"]
    (folder / os.fsdecode(b"sp\xe4t.jpg")).write_bytes((folder / "cell_001.jpg").read_bytes() + b"\0")
    service.wake("M\\xfcller", os.fsdecode(b"M\xfcller"))
    service.run(15)
    assert service.states()["M\\xfcller", 2] == "classified"


def test_names_that_differ_in_case_or_in_how_an_accent_is_written_are_slides_and_files_of_their_own(
    drop, make_slide, service
):
    names = ["s-1", "S-1", "Zählung", "Za\u0308hlung"]
    for first, name in enumerate(names):
        make_slide(drop, name, 1, first=first)
    mixed = make_slide(drop, "mixed", 4)
    for n, name in enumerate(("ä.jpg", "a\u0308.jpg", "X.jpg", "x.jpg")):
        (mixed / f"cell_{n:03}.jpg").rename(mixed / name)
    service.run(75)
    assert service.states() == {(name, 1): "classified" for name in [*names, "mixed"]}
    assert sorted(service.totals()) == [1, 1, 1, 1, 4]


def test_a_name_longer_than_the_table_holds_is_cut_and_stays_one_slide(drop, make_slide, service):
    make_slide(drop, os.fsdecode(b"\xfc" * 100), 3)
    service.run(75)
    ((name, number),) = service.states()
    assert (len(name), number) == (255, 1)
    service.start()
    service.run(75)
    assert len(service.states()) == 1


@pytest.mark.parametrize("name", ["細胞 7", "a'b\"; DROP TABLE slides; --", "%s{}", "ß" * 127])
def test_a_slide_may_have_any_name_that_is_text(drop, make_slide, service, name):
    make_slide(drop, name, 3)
    service.run(75)
    assert service.states() == {(name, 1): "classified"}


@pytest.mark.parametrize("seconds", [-(2**31), 2**33, 15_032_385_535])
def test_pictures_of_whatever_year_are_classified_once(drop, make_slide, service, dump, seconds):
    folder = make_slide(drop, "S-1", 3)
    os.utime(folder / "cell_000.jpg", (seconds, seconds))
    os.utime(folder, (seconds, seconds))
    service.run(75)
    assert service.states() == {("S-1", 1): "classified"}
    before = dump(service.store)
    service.start()
    service.run(75)
    assert dump(service.store) == before


def test_an_unchanged_archive_costs_a_scan_no_look_and_no_question_to_the_database(
    drop, make_slide, done, later, monkeypatch
):
    for n in range(5):
        make_slide(drop, f"A-{n}", 2, first=n)
    done.run(150)
    looked, asked = [], []
    real_look, real_known = Looker.look, arrivals.known_of
    monkeypatch.setattr(Looker, "look", lambda self, s, *a, **k: looked.append(s.folder) or real_look(self, s, *a, **k))
    monkeypatch.setattr(arrivals, "known_of", lambda store, row, ids: asked.extend(ids) or real_known(store, row, ids))
    done.run(130)
    assert (looked, asked) == ([], [])
    done.start()
    done.run(1)  # what the database knows is enough; the round of young slides looks at each file once
    assert asked == []
    looked.clear()
    later(make_slide(drop, "A-3", 1, first=9))
    done.run(75)
    assert set(looked) == set(asked) == {"A-3"}


def test_a_scan_goes_before_the_round_of_young_slides_and_a_long_one_leaves_the_round_its_time(
    drop, make_slide, make_service, monkeypatch
):
    monkeypatch.setattr(source, "SCAN_A_STEP", 1)
    monkeypatch.setattr(source, "ROUND_A_STEP", 1)
    for n in range(8):
        make_slide(drop, f"A-{n}", 1, first=n)
    service = make_service(scan_seconds=2)
    service.run(75)
    looked, scanning = [], []
    look = Looker.look

    def noted(self, slide, now, **named):
        looked.append(slide.folder)
        scanning.append(watched._scan is not None)
        return look(self, slide, now, **named)

    monkeypatch.setattr(Looker, "look", noted)
    service.start()
    watched = service.watch
    service.run(60)  # a scan takes 4.5 s, twice as long as the time between two
    assert sorted(looked) == [f"A-{n}" for n in range(8)]
    assert not any(scanning)


def test_a_large_archive_comes_in_waves_and_a_new_slide_need_not_wait_for_it(
    drop, make_slide, make_service, monkeypatch
):
    monkeypatch.setattr(source, "MOST_FOLLOWED", 6)
    monkeypatch.setattr(source, "SCAN_A_STEP", 4)
    monkeypatch.setattr(source, "LOOKS_A_STEP", 3)
    for n in range(30):
        make_slide(drop, f"A-{n:02}", 1, first=n)
    service = make_service()
    service.run(5)
    assert 6 <= len(service.states()) <= 10
    (make_slide(drop, "NEW", 2) / ".complete").touch()
    service.wake("NEW")
    service.run(4)
    assert service.states()["NEW", 1] == "classified"
    service.run(200)
    assert list(service.states().values()) == ["classified"] * 31


def test_a_slide_given_up_unread_is_opened_again_by_a_change_in_its_folder_and_by_nothing_else(
    drop, make_slide, service, later, dump
):
    def give_up():
        (revision,) = ledger.to_publish(service.store, 9)
        ledger.claim(service.store, revision, "dead")
        ledger.give_up(service.store, ledger.held(service.store)[0], "its worker died 10 times over it")

    folder = make_slide(drop, "S-1", 3)
    service.wake("S-1")
    work, service.work = service.work, type("FakeNoWork", (), {"do": staticmethod(lambda _: give_up())})
    service.run(15)
    service.work = work
    assert service.states() == {("S-1", 1): "failed"}
    before = dump(service.store)
    service.wake("S-1")
    service.run(4000, tick=5)
    service.start()
    service.run(200)
    assert dump(service.store) == before
    (folder / "cell_000.jpg").write_bytes((folder / "cell_001.jpg").read_bytes() + b"\0")  # in place, no event
    service.start()
    service.run(30)
    assert service.states() == {("S-1", 1): "failed", ("S-1", 2): "classified"}


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
    look = Looker.look

    def faulty(self, slide, *arguments, **named):
        if slide.slide_id == "A":
            raise RuntimeError("a bug")
        return look(self, slide, *arguments, **named)

    service = make_service()
    monkeypatch.setattr(Looker, "look", faulty)
    service.run(30)
    assert service.states()["B", 1] == "classified"
    assert service.states()["A", 1] == "arriving"
    monkeypatch.setattr(Looker, "look", look)
    service.run(30)
    assert service.states() == {("A", 1): "classified", ("B", 1): "classified"}
