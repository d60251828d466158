"""What the schedule sends, when, and to which room: the night at its local time, and what goes on with it."""

from typing import Any, Final

from smear.runs import BUILD, GO_ON
from smear.settings import Settings


#: Goes on with a night whose process died or whose message was lost; and writes the day's drift down.
RESUME: Final = "trainer.resume"
DRIFT: Final = "worker.drift"
RESUME_SECONDS: Final = 300.0
DRIFT_SECONDS: Final = 3600.0
#: Messages that nobody took for so long are dropped: others have come that say the same, and where no host does the
#: work they would pile up. Hours, since hosts' clocks differ. The night's own is kept for a day: a host that was off at
#: two begins in the morning.
EXPIRES_SECONDS: Final = {RESUME: 2 * 3600.0, BUILD: 2 * 3600.0, DRIFT: 6 * 3600.0, GO_ON: 24 * 3600.0}


def schedule(settings: Settings) -> dict[str, tuple[str, Any, str]]:
    """Name -> (task, when, queue); `when` is seconds, or hour and minute of the local clock."""
    told: dict[str, tuple[str, Any, str]] = {"drift": (DRIFT, DRIFT_SECONDS, "slides")}
    if settings.nightly_at != "off":
        hour, minute = settings.nightly_at.split(":")
        told["night"] = (GO_ON, {"hour": int(hour), "minute": int(minute)}, "train")
        told["resume"] = (RESUME, RESUME_SECONDS, "train")
    return told
