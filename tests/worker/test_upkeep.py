"""The commands of whoever keeps the service, as they are called."""

import shutil
from datetime import timedelta

import pytest
from sqlalchemy import update

from smear.tables import RevisionRow, SourceRow, utc_now
from worker import arrivals, ledger, quarantine
from worker.install import prepare


CONTENT = "abcdef" + "0" * 58


@pytest.fixture
def imprisoned(sqlite_store, drop, make_slide, queue_slide, make_work, fake_engine):
    """A slide of three cells, classified but for one that is in quarantine; that one's content."""
    import hashlib

    folder = make_slide(drop, "S-1", 3)
    content = hashlib.sha256((folder / "cell_001.jpg").read_bytes()).hexdigest()
    for _ in range(2):
        with sqlite_store.write() as session:
            quarantine.count_death(session, content, 1, "was ended by SIGSEGV")
    make_work(sqlite_store, fake_engine).do(queue_slide(sqlite_store))
    return content


def row(store, revision):
    with store.read() as session:
        return session.get(RevisionRow, revision)


def test_quarantine_is_listed_shown_and_released(worker, sqlite_store, imprisoned, json_lines, make_work, fake_engine):
    done = worker("quarantine", "list", "--json")
    (entry,) = json_lines(done.stdout)
    assert done.returncode == 0
    assert entry["sha256"] == imprisoned
    assert entry["places"] == [{"source": "default", "slide_id": "S-1", "file": "cell_001.jpg"}]
    assert entry["ended"] == "was ended by SIGSEGV"
    shown = worker("quarantine", "show", imprisoned[:8], "--json")
    assert json_lines(shown.stdout) == [entry]
    table = worker("quarantine", "list").stdout
    assert imprisoned[:12] in table
    assert "cell_001.jpg" in table

    done = worker("quarantine", "release", imprisoned[:8], "--json")
    assert (done.returncode, json_lines(done.stdout)) == (0, [{"released": 1, "queued": 1}])
    make_work(sqlite_store, fake_engine).do(1)
    (slide,) = json_lines(worker("results", "--json").stdout)
    assert (slide["cells"]["classified"], slide["cells"]["unreadable"], slide["problems"]) == (3, 0, [])
    assert "Nothing is in quarantine" in worker("quarantine", "list").stdout


def test_what_is_not_in_quarantine_is_named_and_exit_code_is_1(worker, imprisoned, json_lines):
    for command in ("show", "release"):
        done = worker("quarantine", command, "ffffff", "--json")
        assert (done.returncode, "not in quarantine: ffffff" in done.stderr) == (1, True)
    assert worker("quarantine", "show", "ab").returncode == 2
    assert worker("quarantine", "release").returncode == 2
    assert worker("quarantine", "release", "ffffff", "--all").returncode == 2
    assert len(json_lines(worker("quarantine", "list", "--json").stdout)) == 1
    assert json_lines(worker("quarantine", "release", "--all", "--json").stdout) == [{"released": 1, "queued": 1}]


def test_a_slide_whose_folder_is_gone_keeps_its_result_when_its_picture_is_released(
    worker, sqlite_store, imprisoned, drop, json_lines
):
    shutil.rmtree(drop / "S-1")
    (drop / "another").mkdir()
    assert json_lines(worker("quarantine", "release", "--all", "--json").stdout) == [{"released": 1, "queued": 0}]
    assert row(sqlite_store, 1).state == "classified"


def test_status_tells_of_quarantine_until_it_is_no_news_any_more(worker, broker, sqlite_store, imprisoned, json_lines):
    broker.start()
    done = worker("status", "--json")
    (told,) = json_lines(done.stdout)
    assert (done.returncode, told["quarantine"]) == (1, 1)
    assert any("quarantine" in line for line in told["needs_attention"])
    from smear.tables import SuspectRow

    with sqlite_store.write() as session:
        session.execute(update(SuspectRow).values(quarantined_at=utc_now() - timedelta(days=8)))
    done = worker("status", "--json")
    (told,) = json_lines(done.stdout)
    assert (done.returncode, told["quarantine"], told["needs_attention"]) == (0, 1, [])
    assert "1 pictures" in worker("status").stdout


def test_status_names_the_oldest_unfinished_slide_and_what_was_tried_again(
    worker, sqlite_store, queue_slide, json_lines
):
    queue_slide(sqlite_store, "OLD")
    queue_slide(sqlite_store, "NEW")
    for _ in range(3):
        ledger.claim(sqlite_store, 1, "w")
        ledger.take_back(sqlite_store, ledger.held(sqlite_store)[0])
    (told,) = json_lines(worker("status", "--json").stdout)
    assert told["oldest_unfinished"] == {
        "source": "default",
        "slide_id": "OLD",
        "state": "queued",
        "attempts": 3,
        "deaths": 3,
    }
    assert (told["backlog"], told["tried_again"]) == (2, {"slides": 1, "most_attempts": 3})
    said = worker("status").stdout
    assert "OLD, queued" in said
    assert "2 in the backlog" in said


@pytest.fixture
def well(broker, sqlite_store, settings):
    broker.start()
    prepare(settings)


def test_slides_that_wait_while_nobody_takes_them_need_a_person(
    well, worker, sqlite_store, queue_slide, settings, json_lines
):
    revision = queue_slide(sqlite_store)
    assert worker("status", "--json").returncode == 0
    late = utc_now() - timedelta(seconds=3 * settings.stall_seconds)
    with sqlite_store.write() as session:
        session.execute(update(RevisionRow).values(settled_at=late))
    (told,) = json_lines(worker("status", "--json").stdout)
    assert any("is a worker running" in line for line in told["needs_attention"])
    # One that was finished a moment ago shows that the backlog is being worked off.
    ledger.fail(sqlite_store, ledger.claim(sqlite_store, queue_slide(sqlite_store, "S-2"), "w"), "why")
    (told,) = json_lines(worker("status", "--json").stdout)
    assert not any("is a worker running" in line for line in told["needs_attention"])
    assert row(sqlite_store, revision).state == "queued"


def test_a_source_that_nobody_scans_or_nobody_scans_any_more_needs_a_person(
    well, worker, sqlite_store, settings, json_lines
):
    done = worker("status", "--json")
    (told,) = json_lines(done.stdout)
    assert (done.returncode, told["needs_attention"]) == (1, ["default was never scanned: is a watcher running?"])
    source = arrivals.register_source(sqlite_store, settings.sources[0])
    with sqlite_store.write() as session:  # a watcher's first scan of an archive takes its time
        session.execute(update(SourceRow).values(watched_by="a watcher"))
    assert worker("status", "--json").returncode == 0
    arrivals.scanned(sqlite_store, source)
    done = worker("status", "--json")
    (told,) = json_lines(done.stdout)
    assert done.returncode == 0, told
    assert told["sources"][0]["scanned_seconds_ago"] < 60
    late = utc_now() - timedelta(seconds=4 * settings.scan_seconds)
    with sqlite_store.write() as session:
        session.execute(update(SourceRow).values(scanned_at=late - timedelta(seconds=60)))
    (told,) = json_lines(worker("status", "--json").stdout)
    assert any("is a watcher running" in line for line in told["needs_attention"])


def test_a_disk_that_is_nearly_full_needs_a_person(well, worker, json_lines):
    done = worker("status", "--json", WNET_DISK_RESERVE_MB=10**9)
    (told,) = json_lines(done.stdout)
    assert done.returncode == 1
    assert told["disk"]["reserve_mb"] == 10**9
    assert any("until there is room" in line for line in told["needs_attention"])
    (state,) = [
        f
        for f in json_lines(worker("doctor", "--json", WNET_DISK_RESERVE_MB=10**9).stdout)
        if f["name"] == "state folder"
    ]
    assert state["verdict"] == "bad"


def test_purge_says_what_it_forgot(worker, sqlite_store, imprisoned, drop, json_lines):
    (drop / "another").mkdir()
    assert json_lines(worker("purge", "--older-than", "0", "--json").stdout) == [
        {"slides": 0, "cells": 0, "kept": 1, "away": [], "dry_run": False}
    ]
    shutil.rmtree(drop / "S-1")
    assert "1 slides with 3 cells would be forgotten" in worker("purge", "--older-than", "0", "--dry-run").stdout
    assert "1 slides with 3 cells forgotten" in worker("purge", "--older-than", "0").stdout
    assert worker("purge", "--older-than", "-1").returncode == 2
    assert worker("purge").returncode == 2
    shutil.rmtree(drop)
    drop.mkdir()
    assert worker("results", "--json").stdout == ""


def test_purge_names_a_share_that_is_away(worker, imprisoned, drop):
    drop.rename(drop.with_name("away"))
    done = worker("purge", "--older-than", "0")
    assert (done.returncode, "default" in done.stderr) == (1, True)


def test_how_a_worker_died_is_reported_and_its_slide_waits_no_longer(worker, sqlite_store, queue_slide):
    from worker.ending import process_name

    revision = queue_slide(sqlite_store)
    for status, deaths in ((9, 0), (11, 1), (3 << 8, 2)):
        ledger.claim(sqlite_store, revision, process_name(4711))
        done = worker("died", "--pid", 4711, "--status", status)
        assert done.returncode == 0
        found = row(sqlite_store, revision)
        assert (found.claimed_by, found.deaths) == (None, deaths)
    assert "ended with exit code 3" in done.stderr


@pytest.mark.parametrize("days", ["1000000", "inf", "nan", "-1"])
def test_more_days_than_a_calendar_has_are_a_wrong_call(worker, imprisoned, days):
    done = worker("purge", "--older-than", days)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--older-than is a number of days" in done.stderr
