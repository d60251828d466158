from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from worker import period


BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "begins", "ends"),
    [
        ("2026-11-28", datetime(2026, 11, 27, 23, tzinfo=UTC), datetime(2026, 11, 28, 23, tzinfo=UTC)),
        ("2026-03-29", datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC)),  # 23 hours
        ("2026-11-28T14:05", datetime(2026, 11, 28, 13, 5, tzinfo=UTC), datetime(2026, 11, 28, 13, 5, tzinfo=UTC)),
        ("2026-11-28 14:05:30Z", *[datetime(2026, 11, 28, 14, 5, 30, tzinfo=UTC)] * 2),
        ("2026-11-28T14:05-05:00", *[datetime(2026, 11, 28, 19, 5, tzinfo=UTC)] * 2),
    ],
)
def test_a_date_is_a_whole_day_of_the_laboratory_and_a_time_is_an_instant(text, begins, ends):
    assert period.since(text, BERLIN) == begins
    assert period.until(text, BERLIN) == ends


@pytest.mark.parametrize("text", ["yesterday", "28.11.2026", "", "2026-13-01", "0001-01-01", "2026-11-28T25:00"])
def test_what_is_no_date_is_refused_with_an_example(text):
    with pytest.raises(period.BadPeriod, match=r"--since .*write a date such as 2026-11-28"):
        period.since(text, BERLIN)


def test_a_day_after_which_there_is_none_is_refused():
    with pytest.raises(period.BadPeriod, match="--until 9999-12-31"):
        period.until("9999-12-31", BERLIN)
