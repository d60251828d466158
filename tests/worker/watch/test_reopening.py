"""What lies in a finished slide's folder decides whether it is opened again: content does, nothing else."""

import os
import shutil

import pytest

from smear.layout import layout
from worker import ledger


DONE = {("S-1", 1): "classified"}


@pytest.mark.parametrize("hint", ["event", "scan", "restart"])
def test_a_late_file_opens_revision_two_and_the_first_stays(drop, make_slide, done, hint, later):
    later(make_slide(drop, "S-1", 1, first=3))
    if hint == "event":
        done.wake("S-1")
    if hint == "restart":
        done.start()
    done.run(12 if hint != "scan" else 75)
    assert done.states() == DONE | {("S-1", 2): "classified"}
    assert done.totals() == [3, 4]


@pytest.mark.parametrize("restart", [False, True])
def test_the_same_bytes_written_again_change_no_row_at_all(drop, make_slide, done, dump, restart, later):
    before = dump(done.store)
    for _ in range(3):
        shutil.rmtree(drop / "S-1")
        later(make_slide(drop, "S-1", 3))
        done.wake("S-1")
        if restart:
            done.start()
        done.run(130)
    assert dump(done.store) == before


def test_other_bytes_under_the_same_name_open_revision_two(drop, make_slide, done, sample_pictures):
    shutil.copyfile(sample_pictures[9], drop / "S-1" / "cell_001.jpg")
    done.wake("S-1")
    done.run(12)
    assert done.states() == DONE | {("S-1", 2): "classified"}
    assert done.totals() == [3, 3]


def test_other_bytes_with_the_old_size_and_time_are_told_by_their_content(drop, make_slide, done):
    path = drop / "S-1" / "cell_001.jpg"
    before, data = path.stat(), bytearray(path.read_bytes())
    data[-10] ^= 1
    path.write_bytes(bytes(data))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    done.wake("S-1")
    done.run(12)
    assert ("S-1", 2) in done.states()


def test_a_copy_under_another_name_is_nothing_new(drop, done, dump, later):
    before = dump(done.store)
    shutil.copyfile(drop / "S-1" / "cell_000.jpg", drop / "S-1" / "copy.jpg")
    later(drop / "S-1")
    done.run(130)
    assert dump(done.store) == before


def test_pictures_that_are_purged_change_nothing(drop, done, dump):
    before = dump(done.store)
    (drop / "S-1" / "cell_000.jpg").unlink()
    done.wake("S-1")
    done.run(75)
    shutil.rmtree(drop / "S-1")
    done.wake("S-1")
    done.run(130)
    assert dump(done.store) == before


def test_a_file_that_comes_while_the_slide_is_queued_is_not_overlooked(drop, make_slide, service, monkeypatch):
    make_slide(drop, "S-1", 3)
    service.wake("S-1")
    service.run(10, tick=0.5)
    work, service.work = service.work, type("FakeSlowWork", (), {"do": staticmethod(lambda _: None)})
    service.run(2)
    service.work = work
    # Classified by a listing from before the fourth file came.
    real = layout("slides").look(drop, "S-1")
    make_slide(drop, "S-1", 1, first=3)
    service.wake("S-1")
    monkeypatch.setattr("worker.work._look", lambda *_: real)
    for revision in ledger.unclaimed(service.store) or [1]:
        work.do(revision)
    monkeypatch.undo()
    service.run(15)
    assert service.states() == DONE | {("S-1", 2): "classified"}
    assert service.totals() == [3, 4]


def test_a_picture_completed_in_place_without_any_event_is_found_after_a_restart_and_within_the_hour(
    drop, make_slide, service
):
    folder = make_slide(drop, "S-1", 3)
    whole = (folder / "cell_000.jpg").read_bytes() + b"\0"
    (folder / "half.jpg").write_bytes(whole[:5000])
    service.wake("S-1")
    service.run(30)
    assert service.states() == {("S-1", 1): "classified"}
    (folder / "half.jpg").write_bytes(whole)
    service.start()
    service.run(30)
    assert service.states() == {("S-1", 1): "classified", ("S-1", 2): "classified"}
    (folder / "half.jpg").write_bytes(whole + b"\0")
    service.run(3600 + 120, tick=5)
    assert service.states()["S-1", 3] == "classified"
