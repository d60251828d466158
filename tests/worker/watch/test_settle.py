"""Stepped through time: when a slide has arrived, to the tick, and never before."""

import itertools

import pytest

from smear.files import Stat
from smear.layout import FoundPicture, Listing
from worker.watch.settle import Settling


FILE, SLIDE = 2.0, 10.0


def stat(version):
    return Stat(100, version, version, 7)


def listing(pictures=(), *, marker=False, sidecar=None):
    """`pictures`: names, or {name: version}."""
    versions = pictures if isinstance(pictures, dict) else dict.fromkeys(pictures, 1)
    found = tuple(FoundPicture(name, stat(version), None) for name, version in sorted(versions.items()))
    return Listing(found, marker, None if sidecar is None else stat(sidecar), "")


class FakeFolder:
    """A slide's folder over time: what a look sees, and which files are there to their end."""

    def __init__(self, first, expected=None):
        self.settling = Settling(FILE, SLIDE)
        self.listing, self.expected, self.half, self.asked = first, expected, set(), []

    def look(self, now):
        return self.settling.step("S", self.listing, expected_cells=self.expected, is_whole=self._is_whole, now=now)

    def _is_whole(self, picture):
        self.asked.append(picture.path)
        return picture.path not in self.half

    def settles_at(self, start, end, tick=0.25):
        """The first tick at which it has settled; None where it has not by the end."""
        now = start
        while now <= end:
            if self.look(now).settled:
                return now
            now += tick
        return None


def test_a_quiet_slide_settles_after_settle_seconds_and_not_a_tick_before():
    assert FakeFolder(listing(["a.jpg", "b.jpg"])).settles_at(100, 200) == 110


def test_a_marked_slide_settles_once_its_files_stand_still():
    assert FakeFolder(listing(["a.jpg"], marker=True)).settles_at(100, 200) == 102


def test_a_marker_that_comes_late_ends_the_wait():
    folder = FakeFolder(listing(["a.jpg"]))
    assert folder.settles_at(100, 104) is None
    folder.listing = listing(["a.jpg"], marker=True)
    assert folder.settles_at(104.25, 200) == 104.25


@pytest.mark.parametrize(("expected", "at"), [(1, 102), (2, 102), (3, 110), (0, 110), (None, 110)])
def test_the_expected_count_ends_the_wait_once_it_is_reached(expected, at):
    assert FakeFolder(listing(["a.jpg", "b.jpg"]), expected).settles_at(100, 200) == at


def test_one_file_that_still_grows_holds_a_marked_slide():
    folder = FakeFolder(listing(["a.jpg", "b.jpg"], marker=True))
    for version in range(1, 20):
        folder.listing = listing({"a.jpg": 1, "b.jpg": version}, marker=True)
        assert not folder.look(100 + version).settled
    assert folder.settles_at(119, 200) == 119 + FILE


def test_a_half_copied_picture_holds_a_marked_slide_until_it_is_whole():
    folder = FakeFolder(listing(["a.jpg", "b.jpg"], marker=True))
    folder.half = {"b.jpg"}
    assert folder.settles_at(100, 109.75) is None
    folder.half, folder.listing = set(), listing({"a.jpg": 1, "b.jpg": 2}, marker=True)
    assert folder.settles_at(109.75, 200) == 111.75


def test_a_picture_that_never_gets_whole_is_given_up_waiting_for_when_all_is_quiet():
    folder = FakeFolder(listing(["a.jpg", "half.jpg"], marker=True))
    folder.half = {"half.jpg"}
    assert folder.settles_at(100, 200) == 110


def test_a_file_is_read_to_its_end_once_for_each_stat_that_stands_still():
    folder = FakeFolder(listing(["a.jpg", "b.jpg"], marker=True))
    folder.half = {"b.jpg"}
    folder.settles_at(100, 109)
    assert folder.asked == ["a.jpg", "b.jpg"]
    folder.listing = listing({"a.jpg": 1, "b.jpg": 2}, marker=True)
    folder.settles_at(109, 118)
    assert folder.asked == ["a.jpg", "b.jpg", "b.jpg"]


def test_a_slide_without_marker_or_count_is_not_read_at_all():
    folder = FakeFolder(listing(["a.jpg"]))
    folder.settles_at(100, 200)
    assert folder.asked == []


CHANGES = {
    "a new picture": (listing(["a.jpg"]), listing(["a.jpg", "b.jpg"])),
    "another stat": (listing({"a.jpg": 1}), listing({"a.jpg": 2})),
    "a picture gone": (listing(["a.jpg", "b.jpg"]), listing(["a.jpg"])),
    "a sidecar": (listing(["a.jpg"]), listing(["a.jpg"], sidecar=1)),
    "another sidecar": (listing(["a.jpg"], sidecar=1), listing(["a.jpg"], sidecar=2)),
}


@pytest.mark.parametrize(("name", "at"), [*itertools.product(CHANGES, [0.25, 5, 9.75])])
def test_every_change_starts_the_wait_anew_whenever_it_comes(name, at):
    before, after = CHANGES[name]
    folder = FakeFolder(before)
    assert folder.settles_at(100, 100 + at - 0.25) is None
    folder.listing = after
    assert folder.settles_at(100 + at, 200) == 100 + at + SLIDE


@pytest.mark.parametrize("pause", [1, 5, 9.75])
def test_a_slide_that_keeps_arriving_never_settles_and_then_does(pause):
    folder, now = FakeFolder(listing()), 100.0
    for n in range(40):
        folder.listing = listing([f"{i}.jpg" for i in range(n + 1)])
        assert folder.settles_at(now, now + pause - 0.25) is None
        now += pause
    assert folder.settles_at(now, now + 20) == now - pause + SLIDE


@pytest.mark.parametrize("marker", [False, True])
def test_a_slide_that_was_emptied_is_over_when_all_is_quiet(marker):
    folder = FakeFolder(listing(["a.jpg"]))
    folder.look(95)
    folder.listing = listing(marker=marker)
    assert folder.settles_at(100, 200) == 110


def test_a_marker_that_comes_before_the_pictures_waits_for_them():
    folder = FakeFolder(listing(marker=True))
    assert folder.settles_at(100, 105) is None
    folder.listing = listing(["a.jpg"], marker=True)
    assert folder.settles_at(106, 200) == 106 + FILE


def test_the_next_look_is_never_later_than_the_moment_it_settles():
    for first, expected, half in itertools.product(
        (listing(["a.jpg"]), listing(["a.jpg"], marker=True)), (None, 1, 5), (set(), {"a.jpg"})
    ):
        truth = FakeFolder(first, expected)
        truth.half = half
        at = truth.settles_at(100, 200, tick=0.0625)
        folder, now, looks = FakeFolder(first, expected), 100.0, 0
        folder.half = half
        while not (verdict := folder.look(now)).settled:
            assert verdict.look_again_at > now
            now, looks = verdict.look_again_at, looks + 1
        assert now == at
        assert looks <= 3


def test_the_wall_clock_plays_no_part():
    for start in (0.0, 1e-3, 1e9):
        folder = FakeFolder(listing(["a.jpg"]))
        assert not folder.look(start).settled
        assert not folder.look(start + 9.5).settled
        assert folder.look(start + 10).settled


def test_what_is_forgotten_starts_anew_and_slides_do_not_mix():
    settling = Settling(FILE, SLIDE)

    def look(slide, now):
        return settling.step(slide, listing(["a.jpg"]), expected_cells=None, is_whole=lambda _: True, now=now).settled

    assert not look("A", 100)
    assert not look("B", 105)
    assert look("A", 110)
    assert not look("B", 110)
    settling.forget("A")
    settling.forget("never seen")
    assert not look("A", 111)
    assert look("B", 115)
