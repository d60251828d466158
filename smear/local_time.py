"""The laboratory's time zone: rows are in UTC, and people read and type local time."""

from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

from tzlocal import get_localzone

from smear.plain import PlainError


class BadTimezone(PlainError, ValueError):
    """A time zone that does not exist here; its text says which, and what to write instead."""


def zone(name: str) -> tzinfo:
    """The time zone of that IANA name, or the host's own where the name is empty. Raises BadTimezone."""
    try:
        return ZoneInfo(name) if name else get_localzone()
    except (LookupError, ValueError, OSError):
        pass
    if name:
        raise BadTimezone(f"{name!r} is not an IANA time zone of this host; write a name such as Europe/Berlin")
    raise BadTimezone("the host's time zone has no IANA name; set WNET_TIMEZONE to one, such as Europe/Berlin")


def show(at: datetime, zone: tzinfo) -> str:
    """An aware time as people read it in that zone, to the minute: `2026-11-28 14:05`."""
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M")
