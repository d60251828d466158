"""Each part of `make faults` in its short form, and each counter-proof."""

import pytest
from faults.all_parts import ALL
from faults.counterproofs import COUNTERPROOFS
from faults.part import CannotPlay


@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", ALL, ids=lambda part: part.name)
def test_nothing_is_lost_twice_or_wrong(stage, part):
    try:
        outcome = stage.play(part, part.short)
    except CannotPlay as error:
        pytest.skip(str(error))
    assert outcome.to_object(part.name)["problems"] == []
    assert outcome.right
    assert outcome.slides > 0
    assert outcome.injected


@pytest.mark.timeout(900)
@pytest.mark.parametrize("proof", COUNTERPROOFS, ids=lambda proof: f"without the {proof.off}")
def test_without_a_protection_the_part_that_needs_it_fails(stage, proof):
    outcome = proof.play(stage)
    assert not outcome.right
    assert proof.shows(outcome), outcome.to_object(proof.part)
