"""What `--since` and `--until` say: dates or ISO times in the laboratory's time zone, as instants."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo

from smear.plain import PlainError


class BadPeriod(PlainError):
    """A date or time that cannot be used; its text says why."""


def since(text: str, zone: tzinfo) -> datetime:
    """The first instant of a day such as 2026-11-28, or the time given, in UTC. Raises BadPeriod."""
    return _instant("--since", text, zone, after_days=0)


def until(text: str, zone: tzinfo) -> datetime:
    """The first instant after a day such as 2026-11-28, or the time given, in UTC. Raises BadPeriod."""
    return _instant("--until", text, zone, after_days=1)


def _instant(option: str, text: str, zone: tzinfo, *, after_days: int) -> datetime:
    try:
        try:
            # A day has 23 to 25 hours: its end is the next date's midnight.
            at = datetime.combine(date.fromisoformat(text) + timedelta(days=after_days), time(), zone)
        except ValueError:
            at = datetime.fromisoformat(text)
            at = at if at.tzinfo is not None else at.replace(tzinfo=zone)
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadPeriod(
            f"{option} {text}: write a date such as 2026-11-28, or a time such as 2026-11-28T14:05"
        ) from None
