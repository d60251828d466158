"""What the commands share: consoles, JSON lines, refusals, the database opened and found at head."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

from smear.installation import explained
from smear.listing import slide_name
from smear.settings import Settings
from smear.version import program_version
from worker import show


if TYPE_CHECKING:
    from smear.store import Store

SOME_FAILED: Final = 1
WRONG_CALL: Final = 2

out, err = show.console(), show.console(stderr=True)

#: What every command line accepts.
CONTEXT: Final = {"help_option_names": ["-h", "--help"]}
#: The groups of commands that `worker --help` shows, in this order.
RESULTS: Final = "Results"
SERVICE: Final = "Service"
MAINTENANCE: Final = "Maintenance"

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object a line on standard output, nothing else.")]
Geometry = Annotated[
    str | None,
    typer.Option(
        metavar="G",
        help="What a picture shows: di60 (an analyser's picture, 340 to 400 pixels a side) or whole (one cut-out "
        "cell). Default: WNET_GEOMETRY, else di60.",
    ),
]


def show_version(asked: bool) -> None:
    """Print the version and end, where it is asked for."""
    if asked:
        print(program_version())  # noqa: T201 - what the option is for
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and exit.")
]


def stored_name(text: str) -> str:
    """A slide as a person names it, as it is stored: completed by a shell, a name may hold bytes that are no text."""
    return text if text.isprintable() else slide_name(text)


def refuse(sentence: str) -> NoReturn:
    """End with one sentence: call or settings are wrong."""
    print(f"worker: {sentence}", file=sys.stderr)  # noqa: T201 - the one sentence
    sys.exit(WRONG_CALL)


def print_json(told: dict[str, Any]) -> None:
    """One object on one line of standard output."""
    print(json.dumps(told), flush=True)  # noqa: T201 - what the command is for


@contextmanager
def ready_store(settings: Settings) -> "Iterator[Store]":
    """The database, closed at the end; ends with one sentence where its schema is not what this version needs."""
    from smear.store import Store, schema_problem  # noqa: PLC0415 - commands without a database do without its library

    store = Store(settings.database)
    try:
        if problem := schema_problem(store):
            refuse(explained(problem, settings))
        yield store
    finally:
        store.close()
