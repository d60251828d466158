"""One active watcher a source, on SQLite and on PostgreSQL: two watchers over one share, as on two hosts."""

import os
import subprocess
import sys

import pytest
from sqlmodel import select

from smear.layout import layout
from smear.sources import Source
from smear.tables import RevisionRow, SourceRow
from worker import arrivals
from worker.watch.active import SourceLease, has_ended, this_process
from worker.watch.observe import Observing
from worker.watch.source import SourceWatch


LEASE = 15.0


@pytest.fixture
def lease(store, tmp_path):
    """lease(watcher): a lease on the one source."""
    row = arrivals.register_source(store, Source("default", tmp_path, "slides", "di60"))
    return lambda watcher: SourceLease(store, row, LEASE, watcher)


def takes_over_at(lease, start, end, tick=0.25):
    now = start
    while now <= end:
        if lease.step(now):
            return now
        now += tick
    return None


def test_the_first_is_active_and_the_second_waits_while_it_beats(lease):
    first, second = lease("a"), lease("b")
    assert first.step(0)
    for now in range(200):
        assert first.step(now)
        assert not second.step(now)


def test_a_watcher_that_falls_silent_is_followed_after_one_lease(lease):
    first, second = lease("a"), lease("b")
    assert first.step(0)
    assert not second.step(1)
    for now in range(2, 30):
        assert first.step(now)
        assert not second.step(now)
    at = takes_over_at(second, 30, 60)
    assert 30 + LEASE - 6 <= at <= 30 + LEASE + 1  # it last beat within a third of a lease before
    # The one that was only slow finds out at its next beat, and waits in its turn.
    assert not first.step(at + LEASE / 3)
    assert second.step(at + LEASE / 3)


def test_a_watcher_that_stops_lets_another_in_at_once(lease):
    first, second = lease("a"), lease("b")
    first.step(0)
    second.step(1)
    first.release()
    assert takes_over_at(second, 1.25, 10) <= 2


def test_two_that_find_a_silent_lease_at_once_do_not_both_get_it(lease):
    lease("dead").step(0)
    rivals = [lease(name) for name in "bcd"]
    for rival in rivals:
        rival.step(1)
    assert [rival.step(40) for rival in rivals] == [True, False, False]
    assert [rival.step(41) for rival in rivals] == [True, False, False]


def test_the_clock_of_the_wall_plays_no_part(lease, monkeypatch):
    first, second = lease("a"), lease("b")
    first.step(0)
    second.step(1)
    monkeypatch.setattr("time.time", lambda: 4e9)
    assert first.step(6)
    assert not second.step(7)


def test_a_watcher_of_this_host_that_died_is_followed_at_once(lease):
    child = subprocess.Popen(
        [sys.executable, "-c", "from worker.watch.active import *; print(this_process(), flush=True); input()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    name = child.stdout.readline().strip()
    assert not has_ended(name)
    first, second = lease(name), lease(this_process())
    assert first.step(0)
    assert not second.step(1)
    child.kill()
    child.communicate()
    assert has_ended(name)
    assert second.step(2)


@pytest.mark.parametrize("name", ["", "a", "host:7:7:7:7", "host:boot:1:{here}:1", "host:::1:1", "host:::x:", ":::::"])
def test_of_a_process_elsewhere_nobody_can_say_that_it_ended(name):
    name = name.replace("{here}", str(os.getpid()))
    assert not has_ended(name)
    assert not has_ended(this_process())


def test_a_process_number_that_was_given_away_again_is_another_process():
    *same, _ = this_process().split(":")
    assert has_ended(":".join([*same, "1"]))


@pytest.fixture
def watcher(store, settings):
    """watcher(name): a watch over the drop folder, of a host of that name."""
    (source,) = settings.sources

    def make(name):
        return SourceWatch(store, source, settings, Observing(source.root, layout("slides"), "none"), watcher=name)

    return make


def test_two_watchers_over_one_share_see_each_slide_once_whoever_is_active(store, drop, make_slide, watcher):
    first, second = watcher("host-a"), watcher("host-b")
    make_slide(drop, "S-1", 2)
    for now in range(20):
        first.step(now)
        second.step(now)
    assert (first.active, second.active) == (True, False)
    make_slide(drop, "S-2", 2)
    for now in range(20, 130):  # the first has fallen silent
        second.step(now)
    assert second.active
    first.step(131)
    assert not first.active
    second.stop()
    for now in range(132, 140):
        first.step(now)
    assert first.active
    with store.read() as session:
        assert [r.state for r in session.exec(select(RevisionRow))] == ["queued", "queued"]
        assert session.exec(select(SourceRow)).one().scanned_at is not None


def test_two_watchers_that_both_believe_to_be_active_do_no_harm(store, drop, make_slide, watcher):
    make_slide(drop, "S-1", 2)
    first, second = watcher("a"), watcher("b")
    first._lease.step = second._lease.step = lambda _: True
    for now in range(30):
        first.step(now)
        second.step(now)
    with store.read() as session:
        assert [r.state for r in session.exec(select(RevisionRow))] == ["queued"]
