"""One active watcher a source: a lease in the database, and the others ready to take it over when it ends."""

from typing import Any, Final

import structlog
from sqlalchemy import CursorResult, update
from sqlmodel import Session, col

from smear.process import has_ended, this_process
from smear.store import Store
from smear.tables import SourceRow


__all__ = ["SourceLease", "has_ended", "this_process"]

log: Final = structlog.get_logger()

#: How often a watcher that waits looks whether the active one still beats.
LOOK_SECONDS: Final = 1.0


class SourceLease:
    """Says at every step whether this watcher is the one that is active over a source.

    Judged by what is seen to move, on this process's monotonic clock, as claims are: a heartbeat that stood still for
    `lease_seconds` has stopped. Two watchers that both believe to be active do each other's work twice and no harm.
    """

    def __init__(self, store: Store, source: int, lease_seconds: float, watcher: str) -> None:
        self._store, self._source, self._watcher = store, source, watcher
        self._lease_seconds, self._beat_seconds = lease_seconds, lease_seconds / 3
        self._token: int | None = None
        self._due = float("-inf")
        self._seen: tuple[str | None, int, int] | None = None
        self._seen_since = 0.0

    def step(self, now: float) -> bool:
        """Beat, or try to take over, when it is time; whether this watcher is active. Raises StoreUnavailable."""
        if now >= self._due:
            if self._token is not None:
                self._beat(now)
            if self._token is None:
                self._try(now)
        return self._token is not None

    def _beat(self, now: float) -> None:
        beat = {"watch_beat": col(SourceRow.watch_beat) + 1}
        with self._store.write() as session:
            ours = _change(session, self._source, (SourceRow.watch_token == self._token,), beat)
        self._due = now + self._beat_seconds
        if not ours:
            log.warning("no longer the active watcher: another took over", source=self._source)
            self._token = None

    def _try(self, now: float) -> None:
        self._due = now + min(LOOK_SECONDS, self._beat_seconds)
        with self._store.read() as session:
            row = session.get_one(SourceRow, self._source)
            seen = (row.watched_by, row.watch_token, row.watch_beat)
        if seen != self._seen:
            if self._seen is None and seen[0] not in {None, self._watcher}:
                log.info("another watcher is active; waiting to take over", source=self._source)
            self._seen, self._seen_since = seen, now
        holder, token, beat = seen
        silent = now - self._seen_since >= self._lease_seconds
        if holder is None or holder == self._watcher or silent or has_ended(holder):
            with self._store.write() as session:
                same = (SourceRow.watch_token == token, SourceRow.watch_beat == beat)
                new = {"watched_by": self._watcher, "watch_token": token + 1, "watch_beat": beat + 1}
                if _change(session, self._source, same, new):
                    self._token, self._due = token + 1, now + self._beat_seconds
                    log.info("active watcher", source=self._source, token=self._token)

    def release(self) -> None:
        """Let another take over at once."""
        if self._token is not None:
            with self._store.write() as session:
                _change(session, self._source, (SourceRow.watch_token == self._token,), {"watched_by": None})
            self._token = None


def _change(session: Session, source: int, conditions: tuple[Any, ...], values: dict[str, Any]) -> bool:
    """Update a source where the conditions still hold; whether they did."""
    result = session.execute(update(SourceRow).where(col(SourceRow.id) == source, *conditions).values(**values))
    assert isinstance(result, CursorResult)
    return result.rowcount == 1
