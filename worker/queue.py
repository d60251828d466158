"""The broker as the watcher sees it: hand a message over, or ask how many wait."""

from typing import Final

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import ResponseError

from smear.celery_settings import celery_settings
from smear.settings import Settings
from worker.lanes import ORDINARY


SLIDES: Final = "slides"
#: The task that classifies one revision: its name is all that a sender knows of it.
CLASSIFY: Final = "worker.classify"
#: How the server's refusal begins where a key holds another type.
_WRONG_TYPE: Final = "WRONGTYPE"


class BrokerUnavailable(Exception):
    """The broker did not accept a message; it stays in the outbox."""


class SpoiltQueue(BrokerUnavailable):
    """The broker answers, and a key of the queue holds something else than messages."""


def sender(settings: Settings) -> Celery:
    """A Celery app that only sends. It waits less for a broker than a worker does: there is other work to do."""
    app = Celery("sender", set_as_current=False)
    app.conf.update(celery_settings(settings))
    # Unless told how often to try, kombu sleeps for 2 and 4 seconds before it says that nobody answers.
    app.conf.broker_transport_options = app.conf.broker_transport_options | {
        "socket_timeout": 3,
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0,
    }
    return app


def publish(app: Celery, revision: int, lane: int = ORDINARY) -> None:
    """Hand over the message that asks for a revision; raises BrokerUnavailable unless the broker accepted it."""
    try:
        app.send_task(CLASSIFY, args=[revision], queue=SLIDES, priority=lane, retry=False)
    except (OperationalError, OSError, ResponseError) as error:
        raise (SpoiltQueue if _WRONG_TYPE in str(error) else BrokerUnavailable)(str(error)) from error


def depth(app: Celery) -> int | None:
    """How many messages wait; None where the broker does not answer. Raises SpoiltQueue."""
    with app.connection_for_read(connect_timeout=3) as connection:
        try:
            # Not passively: kombu then asks whether the queue exists, forgets its key prefix, and finds none. Declaring
            # writes nothing to a Redis server: a queue without messages does not exist there.
            return int(connection.default_channel.queue_declare(SLIDES).message_count)
        except (OperationalError, OSError, ResponseError, *connection.connection_errors) as error:
            if _WRONG_TYPE in str(error):
                raise SpoiltQueue(str(error)) from error
            return None
