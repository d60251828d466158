"""Database against queue, by level: claims gone silent, messages lost, revisions the broker has not accepted yet."""

from typing import Final

import structlog
from celery import Celery

from smear.settings import Settings
from smear.store import Store
from worker import ledger
from worker.broker_state import repair_broker
from worker.dead import end_claim
from worker.ending import SILENT
from worker.lanes import LANES
from worker.ledger import Held
from worker.queue import BrokerUnavailable, SpoiltQueue, depth, publish


log: Final = structlog.get_logger()

RECONCILE_SECONDS: Final = 2.0
#: When this long more revisions wait for a worker than messages wait in the broker, the difference is lost.
LOST_SECONDS: Final = 4.0


class Reconciler:
    """Repairs the difference between what the database says is to be done and what the broker has been told.

    Leases are judged by what is seen to move, on this process's monotonic clock: a heartbeat that stood still for
    `lease_seconds` has stopped, whatever the wall clocks of hosts say.
    """

    def __init__(self, store: Store, settings: Settings, app: Celery) -> None:
        self._store, self._settings, self._app = store, settings, app
        self._due = float("-inf")
        self._beats: dict[int, tuple[Held, float]] = {}
        self._waiting: dict[int, float] = {}
        self._broker_away = False

    def step(self, now: float, *, settled: bool) -> bool:
        """Every RECONCILE_SECONDS compare all; in between publish what has just settled. Whether all was compared."""
        due = now >= self._due
        if due:
            self._due = now + RECONCILE_SECONDS
            self._end_silent_claims(now)
            self._find_lost_messages(now)
        if due or settled:
            self._publish()
        return due

    def forget_silence(self) -> None:
        """The database was away: no heartbeat could be written meanwhile, so each has its whole lease again."""
        self._beats.clear()

    def _end_silent_claims(self, now: float) -> None:
        held = {claim.revision: claim for claim in ledger.held(self._store)}
        self._beats = {r: seen for r, seen in self._beats.items() if held.get(r) == seen[0]}
        for revision, claim in held.items():
            _, since = self._beats.setdefault(revision, (claim, now))
            if now - since < self._settings.lease_seconds:
                continue
            end_claim(self._store, claim, SILENT, self._settings.max_attempts)

    def _find_lost_messages(self, now: float) -> None:
        unclaimed = ledger.unclaimed(self._store)
        self._waiting = {revision: self._waiting.get(revision, now) for revision in unclaimed}
        overdue = [r for r, since in self._waiting.items() if now - since >= LOST_SECONDS]
        if not overdue:
            return
        try:
            there = depth(self._app)
        except SpoiltQueue:
            repair_broker(self._app)
            return
        if there is None:
            return
        # Messages leave a lane in the order they came, so those missing are next in turn. Told too often does no harm.
        for revision in overdue[: max(len(unclaimed) - there, 0)]:
            log.warning("message lost", revision=revision)
            ledger.publish_again(self._store, revision)
            del self._waiting[revision]

    def _publish(self) -> None:
        # Each lane has a window of its own: a backlog that fills one keeps no urgent slide from the broker.
        waiting = ledger.waiting_by_lane(self._store)
        wanted = [
            (revision, lane)
            for lane in LANES
            for revision in ledger.to_publish(self._store, self._settings.queue_window - waiting[lane], lane)
        ]
        accepted: list[int] = []
        for revision, lane in wanted:
            try:
                publish(self._app, revision, lane)
            except BrokerUnavailable as error:
                if not self._broker_away:
                    log.warning("broker is away; slides wait in the database", reason=str(error))
                self._broker_away = True
                if isinstance(error, SpoiltQueue):
                    repair_broker(self._app)
                break
            accepted.append(revision)
        if accepted:
            if self._broker_away:
                log.info("broker is back")
            self._broker_away = False
            ledger.mark_published(self._store, accepted)
