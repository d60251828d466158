"""Where nothing tells of changes, the watcher looks often at little."""

import os

import pytest

from smear.layout import layout
from worker.watch import source
from worker.watch.observe import Observing


@pytest.fixture
def polled(make_service, monkeypatch):
    """A service without events whose watcher polls."""
    service = make_service()
    (watched,) = service.settings.sources
    service.watch._observing = service.observing = Observing(watched.root, layout("slides"), "polling")
    service.run(1)
    return service


def test_a_new_slide_is_found_within_two_polls(drop, make_slide, polled, later):
    (make_slide(drop, "S-1", 3) / ".complete").touch()
    later(drop)
    polled.run(4.5)
    assert polled.states() == {("S-1", 1): "classified"}


def test_a_file_rewritten_in_a_slide_that_has_just_ended_is_found_within_two_polls(drop, make_slide, polled, later):
    folder = make_slide(drop, "S-1", 3)
    later(drop)
    polled.run(75)
    path = folder / "cell_001.jpg"
    data = bytearray(path.read_bytes())
    data[-10] ^= 1
    before = path.stat()
    path.write_bytes(bytes(data))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # its size and time as they were: ctime tells
    polled.run(13)
    assert polled.states() == {("S-1", 1): "classified", ("S-1", 2): "classified"}


def test_a_slide_that_comes_behind_a_long_scan_is_found_by_another_at_once(
    drop, make_slide, polled, later, monkeypatch
):
    monkeypatch.setattr(source, "SCAN_A_STEP", 1)
    for n in range(12):
        make_slide(drop, f"A-{n}", 1, first=n)
    later(drop)
    polled.run(3)
    assert polled.watch._scan is not None
    (make_slide(drop, "NEW", 1) / ".complete").touch()
    later(drop, 20)
    polled.run(20)  # by the timer the next scan is due after a minute
    assert polled.states()["NEW", 1] == "classified"


def test_polling_an_archive_asks_for_the_roots_time_and_a_few_slides_alone(
    drop, make_slide, polled, later, monkeypatch
):
    for n in range(30):
        make_slide(drop, f"A-{n}", 1, first=n)
    later(drop)
    polled.run(150)
    looked, how = [], type(polled.watch._looker.layout)
    real = how.look
    monkeypatch.setattr(how, "look", lambda self, root, folder: looked.append(folder) or real(self, root, folder))
    polled.run(1, tick=1)
    assert len(looked) <= 20
