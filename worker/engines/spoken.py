"""Warnings as sentences on standard error: for commands, which keep standard output for what they print."""

import logging
import sys
from functools import partial

import structlog


def speak(program: str) -> None:
    """From now on each warning is one line, "program: what: why", and what is less than a warning is left out.

    A service sets up its log instead (`smear.logs`); either may follow the other.
    """
    structlog.configure(
        processors=[partial(_sentence, program)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=lambda *_: _StandardError(),
    )


def _sentence(program: str, _logger: object, _method: str, event: structlog.typing.EventDict) -> str:
    parts = (program, event.get("event"), event.get("reason"))
    return " ".join(": ".join(str(part) for part in parts if part).split())


class _StandardError:
    """Looks for standard error each time, since whoever runs a command may put another in its place."""

    def msg(self, line: str) -> None:
        print(line, file=sys.stderr)  # noqa: T201 - the command's own words

    warning = error = critical = msg
