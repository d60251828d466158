"""Each part of `make faults` in its long form: about an hour in all, asked for with `-m faults`."""

import pytest
from faults.all_parts import ALL
from faults.part import CannotPlay


@pytest.mark.faults
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("part", ALL, ids=lambda part: part.name)
def test_nothing_is_lost_twice_or_wrong_in_the_long_run(stage, part):
    try:
        outcome = stage.play(part, part.full)
    except CannotPlay as error:
        pytest.skip(str(error))
    assert outcome.to_object(part.name)["problems"] == []
    assert outcome.right
