"""What the routes work with, made once at start and handed down: no route reads a setting or opens a store."""

from dataclasses import dataclass
from datetime import tzinfo

from jinja2 import Environment

from review.attempts import Attempts
from review.live import Hub
from review.passwords import Passwords
from review.sessions import Sessions
from review.show import environment
from review.slide import Rules
from review.throttle import Limits, Throttle
from smear.intervals import load_intervals
from smear.local_time import zone
from smear.picture_store import PictureStore
from smear.settings import Settings
from smear.store import Store
from smear.version import program_version


@dataclass(frozen=True)
class Desk:
    """The page's parts."""

    store: Store
    rules: Rules
    passwords: Passwords
    sessions: Sessions
    pictures: PictureStore
    hub: Hub
    zone: tzinfo
    templates: Environment
    limits: Limits
    attempts: Attempts
    writes: Throttle
    #: When nights begin, or "off".
    nightly_at: str = "off"


def make_desk(
    store: Store, settings: Settings, passwords: Passwords | None = None, limits: Limits | None = None
) -> Desk:
    """The parts from the settings; raises BadIntervals, BadTimezone."""
    limits, passwords = limits or Limits(), passwords or Passwords()
    sessions = Sessions(store, settings.session_minutes, settings.sign_password_minutes)
    timezone = zone(settings.timezone)
    rules = Rules(
        load_intervals(settings.intervals),
        settings.min_cells,
        settings.low_count_cells,
        settings.review_below,
        program_version(),
    )
    return Desk(
        store=store,
        rules=rules,
        passwords=passwords,
        sessions=sessions,
        pictures=PictureStore(settings.pictures_folder),
        hub=Hub(store),
        zone=timezone,
        templates=environment(rules, timezone),
        limits=limits,
        attempts=Attempts(store, passwords, sessions, limits.passwords),
        writes=Throttle(limits.writes),
        nightly_at=settings.nightly_at,
    )
