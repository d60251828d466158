"""Logging: one line an event on standard error, reasons and row numbers as fields; never pixels, never patient data."""

import logging
import sys
import traceback
from typing import Literal

import structlog


def _without_words(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Exceptions as their types and the lines they passed. Their texts stay out: an OSError quotes file names, and
    those carry barcodes.
    """
    raised = event.pop("exc_info", None)
    if raised:
        error = (
            raised[1] if isinstance(raised, tuple) else raised if isinstance(raised, BaseException) else sys.exception()
        )
        told = []
        while error is not None:
            lines = traceback.extract_tb(error.__traceback__)
            told.append(type(error).__name__ + "".join(f" < {line.filename}:{line.lineno}" for line in reversed(lines)))
            error = error.__cause__ or error.__context__
        event["exception"] = " from ".join(told)
    return event


def set_up_logging(level: str, log_format: Literal["logfmt", "json"]) -> None:
    """Send structlog's events and the standard library's records through one formatter to standard error."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False)
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _without_words,
            renderer,
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Below warnings these speak of every connection, migration step and message.
    for noisy in ("alembic", "amqp", "celery", "kombu", "multipart", "python_multipart", "uvicorn", "watchdog"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(root.level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
