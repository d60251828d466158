"""What the routes work with, made once at start and handed down: no route reads a setting or opens a store."""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from jinja2 import Environment

from review.live import Hub
from review.passwords import Passwords
from review.sessions import Sessions
from review.show import environment
from review.slide import Rules
from review.throttle import Limits, Throttle
from smear.intervals import load_intervals
from smear.picture_store import PictureStore
from smear.settings import Settings
from smear.store import Store


_UNINSTALLED: Final = "0"


@dataclass(frozen=True)
class Desk:
    """The page's parts."""

    store: Store
    rules: Rules
    passwords: Passwords
    sessions: Sessions
    pictures: PictureStore
    hub: Hub
    templates: Environment
    limits: Limits
    failed_names: Throttle
    failed_addresses: Throttle
    writes: Throttle


def software() -> str:
    """This program's version, as signatures carry it."""
    try:
        return f"wnet-worker {version('wnet-worker')}"
    except PackageNotFoundError:
        return f"wnet-worker {_UNINSTALLED}"


def make_desk(
    store: Store, settings: Settings, passwords: Passwords | None = None, limits: Limits | None = None
) -> Desk:
    """The parts from the settings; raises BadIntervals."""
    limits = limits or Limits()
    rules = Rules(
        load_intervals(settings.intervals),
        settings.min_cells,
        settings.low_count_cells,
        settings.review_below,
        software(),
    )
    return Desk(
        store=store,
        rules=rules,
        passwords=passwords or Passwords(),
        sessions=Sessions(store, settings.session_minutes),
        pictures=PictureStore(settings.pictures_folder),
        hub=Hub(store),
        templates=environment(rules),
        limits=limits,
        failed_names=Throttle(limits.sign_in_name),
        failed_addresses=Throttle(limits.sign_in_address),
        writes=Throttle(limits.writes),
    )
