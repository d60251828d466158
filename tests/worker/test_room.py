"""Below the reserve no slide is claimed; one plain warning; and on it goes once there is room."""

import os

import pytest
import structlog
from structlog.testing import capture_logs

from smear.tables import RevisionRow
from worker.room import Room, free_bytes, short_of_room


def row(store, revision):
    with store.read() as session:
        return session.get(RevisionRow, revision)


class FakeDisk:
    """Free megabytes by folder; every folder there, unless it is left out."""

    def __init__(self, **free_mb):
        self.free_mb = free_mb

    def __call__(self, folder):
        free = self.free_mb.get(folder.name)
        return None if free is None else free * 2**20


@pytest.fixture(autouse=True)
def _logs_reset():
    yield
    structlog.reset_defaults()


def test_the_folder_that_is_short_is_named(settings):
    reserve = settings.disk_reserve_mb
    assert short_of_room(settings, FakeDisk(var=reserve, broker=reserve)) is None
    assert short_of_room(settings, FakeDisk(var=reserve)) is None  # the broker has not been started yet
    found = short_of_room(settings, FakeDisk(var=reserve, broker=reserve - 1))
    assert found == (settings.var / "broker", (reserve - 1) * 2**20)
    elsewhere = settings.model_copy(update={"broker_url": "redis://host/0"})
    assert short_of_room(elsewhere, FakeDisk(var=reserve, broker=0)) is None


def test_a_database_file_elsewhere_is_looked_after_too(settings, tmp_path):
    moved = settings.model_copy(update={"database_url": f"sqlite:///{tmp_path / 'data' / 'wnet.sqlite'}"})
    assert short_of_room(moved, FakeDisk(var=10**6, data=1)) == (tmp_path / "data", 2**20)


def test_a_real_disk_is_asked(tmp_path, settings):
    there = os.statvfs(tmp_path)
    assert free_bytes(tmp_path) == pytest.approx(there.f_bavail * there.f_frsize, rel=0.2)
    assert free_bytes(tmp_path / "absent") is None
    settings.var.mkdir()
    assert short_of_room(settings.model_copy(update={"disk_reserve_mb": 10**9}))[0] == settings.var
    assert short_of_room(settings.model_copy(update={"disk_reserve_mb": 0})) is None


def test_claims_stop_with_one_warning_and_go_on_by_themselves(
    sqlite_store, drop, make_slide, queue_slide, make_work, fake_engine, settings
):
    make_slide(drop, "S-1", 3)
    revision = queue_slide(sqlite_store)
    disk = FakeDisk(var=1)
    work = make_work(sqlite_store, fake_engine)
    work._room, looked = Room(settings, disk), []

    def sleep(seconds):
        looked.append(seconds)
        assert row(sqlite_store, revision).claimed_by is None
        if len(looked) == 50:
            disk.free_mb["var"] = 10**6

    work._sleep = sleep
    with capture_logs() as said:
        work.do(revision)
    assert row(sqlite_store, revision).state == "classified"
    assert row(sqlite_store, revision).attempts == 1
    assert [line["log_level"] for line in said if "room" in line["event"]] == ["warning", "info"]
    assert said[0]["reserve_mb"] == settings.disk_reserve_mb


def test_a_worker_that_waits_for_room_stops_when_told(
    sqlite_store, drop, make_slide, queue_slide, make_work, fake_engine, settings
):
    make_slide(drop, "S-1", 3)
    revision = queue_slide(sqlite_store)
    work = make_work(sqlite_store, fake_engine)
    work._room, work._stopping = Room(settings, FakeDisk(var=1)), lambda: True
    work.do(revision)
    found = row(sqlite_store, revision)
    assert (found.state, found.attempts) == ("queued", 0)


@pytest.mark.parametrize(("asked", "stopping"), [(None, False), (False, False), (0, True), (True, True)])
def test_celery_says_in_its_own_way_that_it_stops(monkeypatch, asked, stopping):
    from worker import tasks

    monkeypatch.setattr(tasks.state, "should_stop", asked)
    assert tasks._stopping() is stopping
