"""What the routes work with, made once at start and handed down: no route reads a setting or opens a store."""

from collections.abc import Mapping
from dataclasses import dataclass, field
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
MAX_DIGESTS: Final = 50_000


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
    #: When nights begin, or "off".
    nightly_at: str = "off"
    #: SHA-256 by cell of slides shown lately: hundreds of pictures are asked for at once, and a cell never changes it.
    digests: dict[int, str] = field(default_factory=dict)

    def remember(self, digests: Mapping[int, str]) -> None:
        """Keep these at hand."""
        if len(self.digests) > MAX_DIGESTS:
            self.digests.clear()
        self.digests.update(digests)


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
        nightly_at=settings.nightly_at,
    )
