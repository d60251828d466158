"""A source under watch, stepped through time over a real folder and a real database, with a fake engine."""

import json
import os
import shutil

import pytest
from sqlmodel import select

from smear.layout import layout
from smear.tables import DifferentialRow, RevisionRow, SlideRow
from worker import ledger
from worker.watch.observe import Observing
from worker.watch.source import SourceWatch


class FakeService:
    """Watcher and worker in one, on a clock that a test moves."""

    def __init__(self, settings, store, work, clock):
        self.settings, self.store, self.work, self.clock = settings, store, work, clock
        self.start()

    def start(self):
        """A watcher as after a restart: nothing is remembered but what the database knows."""
        (source,) = self.settings.sources
        self.observing = Observing(source.root, layout(source.layout), "none")
        self.watch = SourceWatch(self.store, source, self.settings, self.observing)
        self.watch.step(self.clock.now)

    def wake(self, slide_id):
        self.observing.wakes.add((slide_id, slide_id))

    def run(self, seconds, tick=0.5):
        """Let time pass; whatever is queued is classified at once."""
        for _ in range(round(seconds / tick)):
            self.watch.step(self.clock.pass_(tick))
            for revision in ledger.to_publish(self.store, 99):
                self.work.do(revision)
                ledger.mark_published(self.store, [revision])

    def states(self):
        """{(slide_id, revision number): state}"""
        with self.store.read() as session:
            rows = session.exec(select(SlideRow, RevisionRow).where(SlideRow.id == RevisionRow.slide)).all()
            return {(slide.slide_id, revision.number): revision.state for slide, revision in rows}

    def totals(self):
        with self.store.read() as session:
            return [d.total for d in session.exec(select(DifferentialRow).order_by(DifferentialRow.id))]

    def reasons(self):
        with self.store.read() as session:
            return [r.reason for r in session.exec(select(RevisionRow))]


@pytest.fixture
def make_service(settings, sqlite_store, make_work, fake_engine, clock):
    def make(**changed):
        changed = settings.model_copy(update=changed)
        return FakeService(changed, sqlite_store, make_work(sqlite_store, fake_engine), clock)

    return make


@pytest.fixture
def service(make_service):
    return make_service()


DONE = {("S-1", 1): "classified"}


# --- arriving ------------------------------------------------------------------------------------------------------


def test_a_slide_that_was_there_before_the_watcher_is_found_at_once(drop, make_slide, make_service):
    make_slide(drop, "S-1", 3)
    service = make_service()
    assert service.states() == {("S-1", 1): "arriving"}
    service.run(9.5)
    assert service.states() == {("S-1", 1): "arriving"}
    service.run(0.5)
    assert service.states() == DONE
    assert service.totals() == [3]


def test_a_new_slide_is_found_within_one_scan_without_any_event(drop, make_slide, service):
    make_slide(drop, "S-1", 3)
    service.run(59.5)
    assert service.states() == {}
    service.run(11)
    assert service.states() == DONE


def test_an_event_makes_it_sooner(drop, make_slide, service):
    make_slide(drop, "S-1", 3)
    service.wake("S-1")
    service.run(10.5)
    assert service.states() == DONE


def test_a_marker_makes_it_sooner_still(drop, make_slide, service):
    (make_slide(drop, "S-1", 3) / ".complete").touch()
    service.wake("S-1")
    service.run(2.5)
    assert service.states() == DONE


def test_an_expected_count_is_waited_for(drop, make_slide, service):
    (make_slide(drop, "S-1", 3) / "slide.json").write_text(json.dumps({"expected_cells": 4, "order_id": "O-1"}))
    service.wake("S-1")
    service.run(3)
    assert service.states() == {("S-1", 1): "arriving"}
    make_slide(drop, "S-1", 1, first=3)
    service.wake("S-1")
    service.run(3)
    assert service.states() == DONE
    assert service.totals() == [4]
    with service.store.read() as session:
        assert session.exec(select(RevisionRow)).one().sidecar == {"expected_cells": 4, "order_id": "O-1"}


def test_a_half_copied_picture_is_not_queued(drop, make_slide, service):
    folder = make_slide(drop, "S-1", 3)
    (folder / ".complete").touch()
    whole = (folder / "cell_002.jpg").read_bytes()
    (folder / "cell_002.jpg").write_bytes(whole[:5000])
    service.wake("S-1")
    service.run(5)
    assert service.states() == {("S-1", 1): "arriving"}
    (folder / "cell_002.jpg").write_bytes(whole)
    service.wake("S-1")
    service.run(3)
    assert service.states() == DONE
    with service.store.read() as session:
        assert session.exec(select(DifferentialRow)).one().problems == []


def test_an_empty_folder_is_no_slide_yet(drop, make_slide, service):
    (drop / "S-1").mkdir()
    (drop / "S-1" / "readme.txt").touch()
    service.run(130)
    assert service.states() == {}
    make_slide(drop, "S-1", 3)
    service.run(75)
    assert service.states() == DONE


def test_a_body_fluid_slide_is_listed_and_left_alone(drop, make_slide, service):
    make_slide(drop, "BFS-1", 3)
    service.run(75)
    assert service.states() == {("BFS-1", 1): "listed"}
    make_slide(drop, "BFS-1", 1, first=3)
    service.wake("BFS-1")
    service.run(75)
    assert service.states() == {("BFS-1", 1): "listed"}
    assert service.totals() == []


def test_a_slide_that_was_arriving_when_the_watcher_died_is_followed_again(drop, make_slide, service):
    make_slide(drop, "S-1", 3)
    service.wake("S-1")
    service.run(5)
    service.start()
    service.run(10)
    assert service.states() == DONE


def test_a_slide_that_a_worker_handed_back_settles_anew(drop, make_slide, service):
    make_slide(drop, "S-1", 3)
    service.wake("S-1")
    service.run(1)
    (known,) = ledger.known_slides(service.store, 1).values()
    ledger.settle(service.store, known.revision, None, blood=True)
    service.run(1.5)  # seen as queued, and classified
    assert service.states() == DONE


# --- changes ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def done(drop, make_slide, service, dump):
    """A service that has classified S-1, and forgotten that it did."""
    make_slide(drop, "S-1", 3)
    service.run(75)
    assert service.states() == DONE
    # The folder's time is set back: a change made within the kernel's tick would not move it.
    return service


def later(path, seconds=10):
    """Make sure that a folder's time has moved, however coarse the kernel's clock is."""
    found = path.stat()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + seconds * 10**9))


@pytest.mark.parametrize("hint", ["event", "scan", "restart"])
def test_a_late_file_opens_revision_two_and_the_first_stays(drop, make_slide, done, hint):
    later(make_slide(drop, "S-1", 1, first=3))
    if hint == "event":
        done.wake("S-1")
    if hint == "restart":
        done.start()
    done.run(12 if hint != "scan" else 75)
    assert done.states() == DONE | {("S-1", 2): "classified"}
    assert done.totals() == [3, 4]


@pytest.mark.parametrize("restart", [False, True])
def test_the_same_bytes_written_again_change_no_row_at_all(drop, make_slide, done, dump, restart):
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


def test_a_copy_under_another_name_is_nothing_new(drop, done, dump):
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


# --- away ------------------------------------------------------------------------------------------------------------


def test_a_root_that_goes_away_and_comes_back_loses_nothing(drop, make_slide, done, dump):
    make_slide(drop, "S-2", 3)
    done.wake("S-2")
    done.run(3)
    before = dump(done.store)
    drop.rename(drop.with_name("away"))
    done.run(120)
    assert dump(done.store) == before
    drop.with_name("away").rename(drop)
    done.run(15)
    assert done.states() == DONE | {("S-2", 1): "classified"}


def test_an_empty_mount_point_in_place_of_the_root_deletes_nothing(drop, done, dump):
    before = dump(done.store)
    drop.rename(drop.with_name("away"))
    drop.mkdir()
    done.run(120)
    drop.rmdir()
    drop.with_name("away").rename(drop)
    done.run(120)
    assert dump(done.store) == before


def test_a_slide_whose_folder_goes_while_it_arrives_has_failed_after_a_while(drop, make_slide, service):
    (drop / "note.txt").write_text("an empty root would be an unmounted share")
    make_slide(drop, "S-1", 3)
    service.wake("S-1")
    service.run(3)
    shutil.rmtree(drop / "S-1")
    service.wake("S-1")
    service.run(9)
    assert service.states() == {("S-1", 1): "arriving"}
    service.run(5)
    assert service.states() == {("S-1", 1): "failed"}
    assert service.reasons() == ["its folder went away before its pictures were read"]


def test_a_slide_that_is_emptied_while_it_arrives_has_failed_and_is_found_again(drop, make_slide, service):
    folder = make_slide(drop, "S-1", 3)
    service.wake("S-1")
    service.run(3)
    for picture in list(folder.iterdir()):
        picture.unlink()
    service.run(25)
    assert service.states() == {("S-1", 1): "failed"}
    assert service.reasons() == ["no pictures in its folder"]
    later(make_slide(drop, "S-1", 3))
    service.run(75)
    assert service.states() == {("S-1", 1): "failed", ("S-1", 2): "classified"}


def test_a_slide_that_failed_by_going_away_is_found_again_by_a_scan(drop, make_slide, service):
    (drop / "note.txt").write_text("an empty root would be an unmounted share")
    folder = make_slide(drop, "S-1", 3)
    service.wake("S-1")
    service.run(3)
    folder.rename(drop.with_name("moved"))
    service.run(20)
    assert service.states() == {("S-1", 1): "failed"}
    drop.with_name("moved").rename(folder)
    service.run(75)
    assert service.states() == {("S-1", 1): "failed", ("S-1", 2): "classified"}


def test_one_folder_that_may_not_be_entered_does_not_hide_the_others(drop, make_slide, done, monkeypatch):
    how = done.watch._layout
    real = how.signature

    def closed(root, folder):
        if folder == "S-1":
            raise PermissionError(13, "Permission denied")
        return real(root, folder)

    class FakeLayout(type(how)):
        def slides(self, root):
            return iter(sorted(how.slides(root)))

        signature = staticmethod(closed)

    done.watch._layout = FakeLayout()
    make_slide(drop, "S-2", 3)
    done.run(75)
    assert done.states() == DONE | {("S-2", 1): "classified"}


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
    how = done.watch._layout

    class FakeLayout(type(how)):
        def look(self, root, folder):
            looked.append(folder)
            return how.look(root, folder)

    done.watch._layout = FakeLayout()
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


def test_a_share_that_leaves_an_empty_mount_point_takes_no_slide_with_it(drop, make_slide, service):
    make_slide(drop, "S-1", 3)
    service.wake("S-1")
    service.run(3)
    drop.rename(drop.with_name("off"))
    drop.mkdir()
    service.run(120)
    assert service.states() == {("S-1", 1): "arriving"}
    service.start()
    service.run(120)
    assert service.states() == {("S-1", 1): "arriving"}
    drop.rmdir()
    drop.with_name("off").rename(drop)
    service.run(75)
    assert service.states() == {("S-1", 1): "classified"}


def test_a_folder_renamed_while_it_arrives_is_one_slide(drop, make_slide, service):
    folder = make_slide(drop, "copying", 3)
    service.wake("copying")
    service.run(3)
    folder.rename(drop / "S-1")
    for name in ("copying", "S-1"):
        service.wake(name)
    service.run(30)
    assert service.states() == {("S-1", 1): "classified"}


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


def test_a_folder_that_may_not_be_read_is_named_and_comes_out_once_it_may(drop, make_slide, service, monkeypatch):
    make_slide(drop, "S-1", 3)
    how = service.watch._layout
    real = type(how).look

    def closed(self, root, folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(how), "look", closed)
    service.wake("S-1")
    service.run(15)
    assert service.states() == {("S-1", 1): "failed"}
    assert service.reasons() == ["its folder cannot be read: Permission denied"]
    monkeypatch.setattr(type(how), "look", real)
    service.run(90)
    assert service.states() == {("S-1", 1): "failed", ("S-1", 2): "classified"}
