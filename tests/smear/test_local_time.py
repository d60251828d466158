from datetime import UTC, datetime

import pytest
import tzlocal

from smear import local_time


def test_a_time_is_shown_in_the_zone_of_that_name():
    winter, summer = datetime(2026, 11, 28, 13, 5, tzinfo=UTC), datetime(2026, 7, 1, 13, 5, tzinfo=UTC)
    berlin = local_time.zone("Europe/Berlin")
    assert local_time.show(winter, berlin) == "2026-11-28 14:05"
    assert local_time.show(summer, berlin) == "2026-07-01 15:05"


def test_without_a_name_the_zone_is_the_hosts(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setattr(local_time, "get_localzone", tzlocal.reload_localzone)
    assert local_time.show(datetime(2026, 11, 28, 23, 5, tzinfo=UTC), local_time.zone("")) == "2026-11-29 08:05"


@pytest.mark.parametrize("name", ["Berlin", "Europe", "../../etc/passwd", "CET-1CEST,M3", "a\0b"])
def test_a_name_that_is_no_time_zone_is_refused_in_plain_words(name):
    with pytest.raises(local_time.BadTimezone, match="is not an IANA time zone"):
        local_time.zone(name)


def test_a_host_whose_zone_has_no_name_asks_for_the_setting(monkeypatch):
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0")
    monkeypatch.setattr(local_time, "get_localzone", tzlocal.reload_localzone)
    with pytest.raises(local_time.BadTimezone, match="set WNET_TIMEZONE"):
        local_time.zone("")
