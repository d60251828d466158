"""Messages that are none: dropped and counted, and the worker that found them lives on.

kombu reads the envelope of a message in its event loop, and Celery its headers, where anything else than their own JSON
ends the worker: one worker for each such message. Handed kombu's transport class, so that nothing is imported here.
"""

import base64
import contextlib
import json
from queue import Empty
from typing import Any, Final

import structlog


log: Final = structlog.get_logger()

#: What the names of all our keys in the broker begin with.
PREFIX: Final = "wnet:"
#: The key that counts what was dropped, and how long that is news.
DROPPED_KEY: Final = f"{PREFIX}dropped"
NEWS_SECONDS: Final = 7 * 86_400

_TEXT: Final = (str,)
_TEXT_OR_NONE: Final = (str, type(None))
#: What Celery writes (its message protocol 2), as far as it would stumble over something else.
_PROPERTIES: Final = {
    "delivery_tag": _TEXT,
    "delivery_info": (dict,),
    "correlation_id": _TEXT_OR_NONE,
    "reply_to": _TEXT_OR_NONE,
}
_HEADERS: Final = {
    "task": _TEXT,
    "id": _TEXT,
    "root_id": _TEXT_OR_NONE,
    "parent_id": _TEXT_OR_NONE,
    "group": _TEXT_OR_NONE,
    "eta": _TEXT_OR_NONE,
    "expires": _TEXT_OR_NONE,
    "argsrepr": _TEXT_OR_NONE,
    "kwargsrepr": _TEXT_OR_NONE,
    "retries": (int, type(None)),
    "timelimit": (list, type(None)),
}


class NoMessage(ValueError):
    """An entry of a queue that Celery did not write; its text says what is wrong with it, without its content."""


def check(payload: Any) -> None:
    """Look at the envelope of a message, JSON that was read; raises NoMessage."""
    if not isinstance(payload, dict):
        raise NoMessage("no object")
    for part, wanted in (("properties", _PROPERTIES), ("headers", _HEADERS)):
        values = payload.get(part)
        if not isinstance(values, dict):
            raise NoMessage(f"no {part}")
        for name, kinds in wanted.items():
            if not isinstance(values.get(name), kinds):
                raise NoMessage(f"{part}: {name}")
    if payload.get("content-type") == "application/json":  # Celery itself refuses every other, and lives
        _check_body(payload.get("body"), payload["properties"].get("body_encoding"))
    limits = payload["headers"].get("timelimit")
    if limits is not None and not (len(limits) == 2 and all(isinstance(x, int | float | None) for x in limits)):
        raise NoMessage("headers: timelimit")


def _check_body(body: Any, encoding: Any) -> None:
    if encoding != "base64":
        raise NoMessage("properties: body_encoding")
    try:
        told = json.loads(base64.b64decode(body, validate=True))
    except (ValueError, TypeError, RecursionError):
        raise NoMessage("body") from None
    kinds = (list, dict, dict)  # arguments, named arguments, callbacks and the like
    if not (isinstance(told, list) and len(told) == len(kinds) and all(map(isinstance, told, kinds))):
        raise NoMessage("body")


def tolerant(transport: type[Any]) -> type[Any]:
    """This transport of kombu's over Redis, with channels that drop what is no message."""
    channel: type[Any] = _tolerant_channel(transport.Channel)
    return type("TolerantTransport", (transport,), {"Channel": channel})


def _tolerant_channel(base: type[Any]) -> type[Any]:
    class TolerantMessage(base.Message):  # type: ignore[misc, name-defined]
        """A message that was looked at first, and that says when it has been read to its end."""

        def __init__(self, payload: Any, channel: Any = None, **more: Any) -> None:
            check(payload)
            super().__init__(payload, channel=channel, **more)
            channel.message_was_read = True

    class TolerantChannel(base):  # type: ignore[misc]
        """A channel that outlives what others put into its queues."""

        Message = TolerantMessage
        message_was_read = False

        def _brpop_read(self, **options: Any) -> Any:
            return self._reading(super()._brpop_read, **options)

        def _get(self, queue: str) -> Any:
            return self._reading(super()._get, queue)

        def _reading(self, read: Any, *given: Any, **options: Any) -> Any:
            self.message_was_read = False
            try:
                return read(*given, **options)
            except (ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError) as error:
                if self.message_was_read:
                    raise  # not of the envelope: of the code that was handed the message
                _drop(self, error)
                raise Empty from None

    return TolerantChannel


def _drop(channel: Any, error: Exception) -> None:
    """What was taken from a queue is gone from it: count it."""
    dropped = None
    with contextlib.suppress(Exception), channel.conn_or_acquire() as client:
        dropped = client.incr(DROPPED_KEY)
        client.expire(DROPPED_KEY, NEWS_SECONDS)
    # The content is anybody's, and may name anything: it reaches no log.
    reason = str(error) if isinstance(error, NoMessage) else type(error).__name__
    log.error("dropped from the queue: no message of ours", reason=reason, dropped=dropped)
