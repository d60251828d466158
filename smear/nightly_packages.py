"""Whether this host could run a night: what its schedule and its packages say, without importing any of them."""

from datetime import datetime, timedelta
from typing import Any, Final

from smear import extras


#: A latest night older than this shows that no other host runs them either.
_STALE: Final = timedelta(days=2)


def learning(nightly_at: str) -> dict[str, Any]:
    """When nights begin ("off": never), what this host lacks for them, and the line that installs it."""
    missing = [] if nightly_at == "off" else extras.missing("train")
    return {"at": nightly_at, "missing": missing, "install": extras.install_line("train") if missing else None}


def sentence(nightly_at: str, latest: datetime | None, now: datetime) -> str | None:
    """What keeps nights from this host, with the cure; None where nothing does, or where nights run elsewhere.

    `latest` is when the latest night began, on whichever host; None before the first.
    """
    missing = learning(nightly_at)["missing"]
    if not missing or (latest is not None and now - latest < _STALE):
        return None
    return (
        f"This host cannot learn at night: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed. "
        f"Install with: {extras.install_line('train')}"
    )
