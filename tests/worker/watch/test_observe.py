"""Real events, native and polled: they wake the slide they belong to, and flow again after the root was away."""

import threading
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from smear.layout import layout
from worker.watch import observe
from worker.watch.observe import Observing, on_network


def wait_for(condition, seconds=30):
    """Events come when the kernel likes; the test goes on as soon as they have."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "no event came"
        time.sleep(0.01)


class Woken:
    def __init__(self, observing):
        self.observing, self.slides = observing, set()

    def has(self, slide_id):
        self.slides |= self.observing.wakes.take()
        return (slide_id, slide_id) in self.slides


@pytest.fixture
def start(drop, monkeypatch):
    started = []

    def make(kind, root=drop):
        started.append(Observing(root, layout("slides"), kind))
        return started[-1]

    yield make
    for observing in started:
        observing.stop()


def test_a_new_slide_and_a_rewritten_file_wake_their_slide(drop, make_slide, start):
    make_slide(drop, "S-1", 1)
    observing = start("native")
    assert observing.step()  # events begin: a scan is due
    assert not observing.step()
    assert observing.kind == "native"
    woken = Woken(observing)
    make_slide(drop, "S-2", 1)
    wait_for(lambda: woken.has("S-2"))
    assert not woken.has("S-1")
    (drop / "S-1" / "cell_000.jpg").write_bytes(b"other, and of another size")
    wait_for(lambda: woken.has("S-1"))


def test_reading_a_picture_wakes_nobody(drop, make_slide, start):
    make_slide(drop, "S-1", 1)
    observing = start("native")
    observing.step()
    (drop / "S-1" / "cell_000.jpg").read_bytes()
    woken = Woken(observing)
    make_slide(drop, "S-2", 1)  # events keep their order: whatever reading caused has come before this
    wait_for(lambda: woken.has("S-2"))
    assert not woken.has("S-1")


def test_a_root_that_is_renamed_away_and_back_is_observed_again(drop, make_slide, start):
    observing = start("native")
    observing.step()
    drop.rename(drop.with_name("away"))
    assert not observing.step()
    assert observing.kind == "none"
    drop.with_name("away").rename(drop)
    assert observing.step()
    woken = Woken(observing)
    make_slide(drop, "S-1", 1)
    wait_for(lambda: woken.has("S-1"))


def test_another_root_in_its_place_is_observed_in_turn(drop, make_slide, start):
    observing = start("native")
    observing.step()
    drop.rename(drop.with_name("away"))
    drop.mkdir()
    assert observing.step()
    woken = Woken(observing)
    make_slide(drop.with_name("away"), "OLD", 1)
    make_slide(drop, "S-1", 1)
    wait_for(lambda: woken.has("S-1"))
    assert not woken.has("OLD")


def test_an_observer_that_died_is_replaced_and_asks_for_a_scan(start):
    observing = start("native")
    observing.step()
    (emitter,) = observing._observer.emitters
    emitter.stop()
    emitter.join(10)
    assert observing.step()  # what happened since it died, only a scan finds
    assert observing.kind == "native"
    assert not observing.step()


def test_without_events_nothing_is_started_but_a_scan_is_still_due_when_the_root_comes(drop, start):
    drop.rmdir()
    observing = start("none")
    assert not observing.step()
    drop.mkdir()
    assert observing.step()
    assert not observing.step()
    assert observing.kind == "none"


def test_where_the_kernel_has_no_watches_left_it_is_said_once_and_the_folder_is_polled(start, monkeypatch):
    class FakeFullObserver:
        asked = 0

        def schedule(self, *_, **__):
            pass

        def start(self):
            FakeFullObserver.asked += 1
            raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr(observe, "Observer", FakeFullObserver)
    observing = start("native")
    with capture_logs() as said:
        assert observing.step()
        for _ in range(5):
            assert not observing.step()
    assert FakeFullObserver.asked == 1
    assert observing.kind == "polling"
    (told,) = [one for one in said if "the folder is polled instead" in str(one)]
    assert "max_user_watches" in str(told)


def test_a_queue_that_ran_over_asks_for_a_scan_and_events_flow_on(drop, make_slide, start):
    observing = start("native")
    observing.step()
    descriptor = observing._observer._inotify_fd
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    with descriptor._lock:  # the reader waits, and the kernel's queue fills
        path = drop / "burst.jpg"
        for n in range(limit // 2 + 2000):
            path.touch()
            path.rename(drop / f"moved_{n % 7}.jpg")
    wait_for(observing.step, seconds=150)
    assert observing.kind == "native"
    wait_for(lambda: not observing.step(), seconds=150)
    woken, dropped = Woken(observing), []

    def heard():
        # watchdog compares the tree once more before it listens again; what comes in between, a scan finds.
        dropped.append(f"S-{len(dropped)}")
        make_slide(drop, dropped[-1], 1)
        time.sleep(0.2)
        return any(woken.has(slide) for slide in dropped)

    wait_for(heard)


def test_auto_is_native_on_a_local_disk_and_polling_on_a_share(start, drop, monkeypatch):
    native = start("auto")
    native.step()
    assert native.kind == "native"
    monkeypatch.setattr(observe, "on_network", lambda _: True)
    polling = start("auto")
    polling.step()
    assert polling.kind == "polling"


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/srv/x", False),
        ("/mnt/share/deep/er", True),
        ("/mnt/share", True),
        ("/mnt/shared", False),
        ("/mnt/share/local/x", False),
        ("/mnt/with space/x", True),
        ("/home/u/cloud/x", True),
    ],
)
def test_network_mounts_are_told_from_the_kernels_table(tmp_path, path, answer):
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"
        "30 22 0:50 / /mnt/share rw - cifs //server/share rw\n"
        "31 30 8:2 / /mnt/share/local rw - xfs /dev/sdb1 rw\n"
        "32 22 0:51 / /mnt/with\\040space rw shared:7 - nfs4 server:/x rw\n"
        "33 22 0:52 / /home/u/cloud rw - fuse.sshfs u@h:/ rw\n"
        "a line that means nothing\n"
    )
    assert on_network(path, table) is answer


def test_without_a_table_of_mounts_all_is_local(tmp_path):
    assert not on_network(tmp_path, tmp_path / "none")


def test_a_start_that_takes_long_goes_on_aside_and_ends_with_a_scan(drop, make_slide, start, monkeypatch):
    gate, real = threading.Event(), observe.Observer

    class FakeSlowObserver(real):
        def start(self):
            gate.wait(60)
            super().start()

    monkeypatch.setattr(observe, "Observer", FakeSlowObserver)
    monkeypatch.setattr(observe, "START_SECONDS", 0.01)
    observing = start("native")
    assert observing.step()
    assert not observing.step()
    assert observing.kind == "none"
    gate.set()
    wait_for(observing.step)
    assert observing.kind == "native"
    assert not observing.step()
    woken = Woken(observing)
    make_slide(drop, "S-1", 1)
    wait_for(lambda: woken.has("S-1"))
