"""Server-sent events: what has changed on the board and on slides, looked up by level and told to every open page.

The database is asked, not this process: a worker's or another page's change is told as well as one made here. An event
says what to look at again and carries no patient data; losing one loses nothing, since pages also look now and then.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from sqlalchemy import func
from sqlmodel import Session, col, select

from smear.review_tables import AuditHeadRow, AuditRow, BoardRow
from smear.store import Store, StoreUnavailable


log: Final = structlog.get_logger()

POLL_SECONDS: Final = 0.4
#: A comment line now and then keeps proxies from closing a quiet stream, and finds out who has gone.
PING_SECONDS: Final = 15.0
_MOST: Final = 200
#: Transactions of a server end in another order than they took their numbers in: lines so far back are looked at again.
_OVERLAP: Final = 100


class AnotherDatabase(Exception):
    """The database was put back to an earlier state, or replaced: what was seen of it says nothing about this one."""


@dataclass(frozen=True)
class Seen:
    """How far the database has been looked at; `lines` are (slide, changed) of the board that were seen up there."""

    board: int
    audit: int
    lines: frozenset[tuple[int, int]] = frozenset()


@dataclass(frozen=True)
class Event:
    """One event: its name, and JSON data."""

    name: str
    data: dict[str, Any]

    def encode(self) -> bytes:
        """As the protocol wants it; JSON holds no line break."""
        return f"event: {self.name}\ndata: {json.dumps(self.data)}\n\n".encode()


def look(store: Store, seen: Seen | None) -> tuple[Seen, list[Event]]:
    """What is new since; nothing at the first look. Raises StoreUnavailable, AnotherDatabase."""
    with store.read() as session:
        audit = int(session.exec(select(AuditHeadRow.number)).one_or_none() or 0)
        if seen is None:
            top = int(session.exec(select(func.max(BoardRow.changed))).one() or 0)
            return Seen(top, audit, frozenset(_changed_after(session, top - _OVERLAP))), []
        if audit < seen.audit:
            raise AnotherDatabase
        events = []
        if audit > seen.audit:
            rows = session.exec(
                select(AuditRow)
                .where(col(AuditRow.number) > seen.audit, col(AuditRow.slide).is_not(None))
                .order_by(col(AuditRow.number))
                .limit(_MOST)
            )
            events = [Event("slide", {"slide": r.slide, "who": r.user, "action": r.action}) for r in rows]
        lines = _changed_after(session, seen.board - _OVERLAP)
        fresh = [slide for slide, changed in lines if (slide, changed) not in seen.lines]
        if fresh or events:
            # A label changes a line's numbers and no row of the board's table.
            audited = {event.data["slide"] for event in events}
            events.append(Event("board", {"slides": sorted({*fresh, *audited})}))
        top = max([seen.board, *(changed for _, changed in lines)])
        return Seen(top, audit, frozenset(line for line in lines if line[1] > top - _OVERLAP)), events


def _changed_after(session: Session, number: int) -> list[tuple[int, int]]:
    """(slide, changed) of the lines of the board that changed after that number, the newest; at most _MOST."""
    rows = session.exec(
        select(BoardRow.slide, BoardRow.changed)
        .where(col(BoardRow.changed) > number)
        .order_by(col(BoardRow.changed).desc())
        .limit(_MOST)
    )
    return [(slide, changed) for slide, changed in rows]


class Hub:
    """One looker for all open pages of this process. Looks only while somebody listens."""

    def __init__(self, store: Store, poll_seconds: float = POLL_SECONDS, ping_seconds: float = PING_SECONDS) -> None:
        self._store, self._poll_seconds, self._ping_seconds = store, poll_seconds, ping_seconds
        self._listeners: set[asyncio.Queue[Event | None]] = set()
        self._task: asyncio.Task[None] | None = None

    async def listen(self, still: Callable[[], bool]) -> AsyncIterator[bytes]:
        """Events, encoded, for as long as `still` says so (it is asked every `ping_seconds`)."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue(maxsize=_MOST)
        self._listeners.add(queue)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        clock = asyncio.get_running_loop().time
        ask_at = clock() + self._ping_seconds
        try:
            yield b"retry: 2000\n\n"
            while True:
                event = None
                with contextlib.suppress(TimeoutError):
                    event = await asyncio.wait_for(queue.get(), max(ask_at - clock(), 0.001))
                    if event is None:
                        return  # the browser connects again, and looks at everything
                # Also where events never cease: who has signed out hears nothing further.
                if clock() >= ask_at:
                    if not await asyncio.to_thread(still):
                        yield Event("ended", {}).encode()
                        return
                    ask_at = clock() + self._ping_seconds
                yield b": still here\n\n" if event is None else event.encode()
        finally:
            self._listeners.discard(queue)

    async def _run(self) -> None:
        seen: Seen | None = None
        events: Sequence[Event | None]
        while self._listeners:
            try:
                seen, events = await asyncio.to_thread(look, self._store, seen)
            except StoreUnavailable as error:
                log.warning("cannot look for what is new", reason=str(error))
                events = []
            except AnotherDatabase:
                log.warning("the database is an earlier or another one: open pages connect again")
                seen, events = None, [None]
            for event in events:
                for queue in self._listeners:
                    # Whoever reads this slowly will look at everything anyway.
                    with contextlib.suppress(asyncio.QueueFull):
                        queue.put_nowait(event)
            await asyncio.sleep(self._poll_seconds)

    async def close(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
