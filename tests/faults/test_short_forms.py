"""Each part of `make faults` in its short form, and each counter-proof."""

import pytest
from faults.all_parts import ALONE, TOGETHER
from faults.counterproofs import COUNTERPROOFS
from faults.part import CannotPlay


pytestmark = pytest.mark.timeout(900)


def play(stage, part):
    try:
        outcome = stage.play(part, part.short)
    except CannotPlay as error:
        pytest.skip(str(error))
    assert outcome.to_object(part.name)["problems"] == []
    assert outcome.right
    assert outcome.slides > 0
    assert outcome.injected


@pytest.mark.parametrize("part", TOGETHER, ids=lambda part: part.name)
def test_nothing_is_lost_twice_or_wrong(stage, part):
    play(stage, part)


@pytest.mark.parametrize("proof", COUNTERPROOFS, ids=lambda proof: f"without the {proof.off}")
def test_without_a_protection_the_part_that_needs_it_fails(stage, proof):
    outcome = proof.play(stage)
    assert not outcome.right
    assert proof.shows(outcome), outcome.to_object(proof.part)


@pytest.mark.parametrize("part", ALONE, ids=lambda part: part.name)
def test_nothing_is_lost_twice_or_wrong_on_a_service_of_its_own(stage, part):
    play(stage, part)
