"""Roots and folders that go away, that may not be entered, or that stumble: nothing is lost, nothing marked deleted."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from smear.tables import utc_now
from worker.watch import look


DONE = {("S-1", 1): "classified"}


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


def test_a_slide_that_is_emptied_while_it_arrives_has_failed_and_is_found_again(drop, make_slide, service, later):
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
    how = type(done.watch._looker.layout)
    real = how.look

    def closed(self, root, folder):
        if folder == "S-1":
            raise PermissionError(13, "Permission denied")
        return real(self, root, folder)

    monkeypatch.setattr(how, "look", closed)
    done.start()
    make_slide(drop, "S-2", 3)
    done.run(75)
    assert done.states() == DONE | {("S-2", 1): "classified"}


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EBUSY])
def test_a_share_that_stumbles_for_an_hour_costs_a_slide_nothing_but_time(
    drop, make_slide, service, monkeypatch, number
):
    make_slide(drop, "S-1", 3)
    service.wake("S-1")
    service.run(1)
    how = type(service.watch._looker.layout)
    with monkeypatch.context() as broken:

        def stumbles(*_):
            raise OSError(number, os.strerror(number))

        broken.setattr(how, "look", stumbles)
        service.run(3600, tick=10)
        assert service.states() == {("S-1", 1): "arriving"}
    service.run(15)
    assert service.states() == DONE


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EBUSY])
def test_a_file_that_cannot_be_read_for_a_while_delays_its_slide_alone(drop, make_slide, service, monkeypatch, number):
    for name in ("A", "B"):
        (make_slide(drop, name, 3) / ".complete").touch()
    real = look.read_file

    def stumbles(descriptor, name, *limits):
        if Path(f"/proc/self/fd/{descriptor}").readlink().name == "A":
            raise OSError(number, os.strerror(number))
        return real(descriptor, name, *limits)

    monkeypatch.setattr(look, "read_file", stumbles)
    for name in ("A", "B"):
        service.wake(name)
    service.run(5)
    assert service.states() == {("A", 1): "arriving", ("B", 1): "classified"}
    monkeypatch.undo()
    service.run(10)
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


def test_a_folder_that_may_not_be_read_is_named_and_comes_out_once_it_may(drop, make_slide, service, monkeypatch):
    make_slide(drop, "S-1", 3)
    how = service.watch._looker.layout
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


def test_a_slide_renamed_while_it_arrives_fails_with_a_reason_where_somebody_remarked_on_it(drop, make_slide, service):
    from smear.review_tables import CommentRow, UserRow

    folder = make_slide(drop, "S-1", 3)
    service.wake("S-1")
    service.run(3)
    with service.store.write() as session:
        session.add(
            UserRow(name="maria", full_name="M", role="technologist", password_hash="", must_change=False, active=True,
                    created_at=utc_now())
        )  # fmt: skip
        session.flush()
        session.add(CommentRow(slide=1, revision=1, user=1, at=utc_now(), text="the barcode is wrong"))
    folder.rename(drop / "S-2")
    service.wake("S-2")
    service.run(100)
    assert service.states() == {("S-1", 1): "failed", ("S-2", 1): "classified"}
    assert "its folder was renamed before its pictures were read" in service.reasons()
