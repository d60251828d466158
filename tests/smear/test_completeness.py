"""Completeness: what an analyser announced against what came."""

import pytest

from smear.completeness import Completeness


@pytest.mark.parametrize(
    ("expected", "files", "complete", "words"),
    [
        (None, 96, None, None),
        (120, 96, False, "incomplete: 96 of 120"),
        (120, 120, True, None),
        (120, 121, True, None),
        (120, 0, False, "incomplete: 0 of 120"),
    ],
)
def test_a_slide_is_complete_when_every_announced_picture_came(expected, files, complete, words):
    found = Completeness(expected, files)
    assert (found.complete, found.words) == (complete, words)
