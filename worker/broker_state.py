"""The state of the broker: whether it answers, whether it takes writes, and which of our keys are of a wrong type."""

from dataclasses import dataclass
from typing import Any, Final

import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from smear.files import shown
from smear.junk import DROPPED_KEY, PREFIX
from worker.queue import SLIDES


log: Final = structlog.get_logger()

#: Written and left to expire, to see whether the broker takes writes at all.
_PROBE_KEY: Final = f"{PREFIX}probe"
_PROBE_SECONDS: Final = 5
_QUEUES: Final = (SLIDES, "train", "build")
#: What is appended to the name of a key of another type than Celery's; what was set aside before goes.
SET_ASIDE: Final = ".set-aside"


@dataclass(frozen=True)
class BrokerState:
    """What one look at the broker saw. `refuses` is its own word for why it takes no writes, or why not from us."""

    answers: bool
    refuses: str | None = None
    #: Keys of ours that hold something else than Celery's messages.
    wrong_type: tuple[str, ...] = ()
    #: Entries of queues that were no messages, dropped within the last days.
    dropped: int = 0
    #: Why it does not answer.
    reason: str = ""

    @property
    def writes(self) -> bool:
        """Whether messages can be handed over."""
        return self.answers and self.refuses is None

    @property
    def faults(self) -> dict[str, Any]:
        """What is wrong, as `worker status --json` prints it; empty where all is well, or nothing answers."""
        refused = {} if self.refuses is None else {"refuses": self.refuses}
        wrong = {"wrong_type": [shown(key) for key in self.wrong_type]} if self.wrong_type else {}
        return refused | wrong | ({"dropped": self.dropped} if self.dropped else {})

    @property
    def problems(self) -> list[str]:
        """What a person should look at, a sentence each."""
        if not self.answers:
            why = f" ({self.reason})" if "certificate" in self.reason else ""
            return [f"the broker does not answer{why}; slides wait in the database"]
        said = []
        if self.refuses is not None:
            said.append(f"the broker answers, refuses writes ({self.refuses}); slides wait in the database")
        if self.wrong_type:
            said.append(
                f"the broker holds keys of another type than Celery's: {', '.join(map(shown, self.wrong_type))}"
            )
        if self.dropped:
            said.append(
                f"{self.dropped} entries of the broker's queues were not messages of this service and were dropped: "
                "another program writes to this broker"
            )
        return said


def look_at_broker(app: Celery) -> BrokerState:
    """One look; never raises for what the broker does or leaves undone."""
    with app.connection_for_read(connect_timeout=3) as connection:
        try:
            channel = connection.default_channel
            with channel.conn_or_acquire() as client:
                wrong = tuple(_wrong_type(channel, client))
                refuses = _refusal(client)
                counted = client.execute_command("GET", DROPPED_KEY) if DROPPED_KEY not in wrong else None
                return BrokerState(answers=True, refuses=refuses, wrong_type=wrong, dropped=int(counted or 0))
        except (AuthenticationError, ResponseError) as error:
            return BrokerState(answers=True, refuses=_word(error))
        except (OperationalError, OSError, ValueError, *connection.connection_errors) as error:
            cause = error.__cause__ or error
            if isinstance(cause, AuthenticationError | ResponseError):
                return BrokerState(answers=True, refuses=_word(cause))
            return BrokerState(answers=False, reason=str(error))


def repair_broker(app: Celery) -> int:
    """Set keys of a wrong type aside; how many there were. Messages are hints: the outbox sends again what is lost."""
    with app.connection_for_write(connect_timeout=3) as connection:
        try:
            channel = connection.default_channel
            with channel.conn_or_acquire() as client:
                wrong = list(_wrong_type(channel, client))
                for key in wrong:
                    client.execute_command("RENAME", key, f"{key}{SET_ASIDE}")
                    log.error("a key of the broker was of a wrong type: set aside", key=shown(key))
                return len(wrong)
        except (OperationalError, OSError, RedisError, *connection.connection_errors):
            return 0


def _wrong_type(channel: Any, client: Any) -> "list[str]":
    """Full names of the keys that Celery would stumble over."""
    wanted = {channel.unacked_key: "hash", channel.unacked_index_key: "zset"}
    for queue in _QUEUES:
        wanted[channel.keyprefix_queue % (queue,)] = "set"
        wanted |= {channel._q_for_pri(queue, step): "list" for step in channel.priority_steps}  # noqa: SLF001 - kombu's own names
    names = {f"{PREFIX}{name}": kind for name, kind in wanted.items()} | {DROPPED_KEY: "string"}
    found = {name: client.execute_command("TYPE", name) for name in names}
    return [name for name, kind in found.items() if kind.decode() not in {"none", names[name]}]


def _refusal(client: Any) -> str | None:
    try:
        client.execute_command("SETEX", _PROBE_KEY, _PROBE_SECONDS, "1")
    except (AuthenticationError, ResponseError) as error:
        return _word(error)
    return None


def _word(error: BaseException) -> str:
    """The broker's own words, a sentence at most."""
    return str(error).split(". ", 1)[0].strip().rstrip(".")[:120]
