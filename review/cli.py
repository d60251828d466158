"""`review`: the command line - the page, its accounts, its audit, its pictures."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from review.refusal import Refused
from smear.installation import explained
from smear.plain import PlainError
from smear.settings import Settings, load_settings
from smear.version import program_version


if TYPE_CHECKING:
    from smear.store import Store

# Each command imports what it alone needs. (ruff's PLC0415 is off for this file.)

SOME_FAILED: Final = 1
WRONG_CALL: Final = 2

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]}
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(program_version())
        raise typer.Exit


@app.callback()
def review(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Serve the review page, and manage its accounts, audit and pictures. For Research Use Only."""


def main() -> None:
    """The console script: what is wrong with call or settings is one sentence and exit code 2."""
    try:
        app()
    except (PlainError, Refused) as error:
        _refuse(str(error))
    except OSError as error:
        _refuse(f"{error.filename or ''}: {error.strerror}".removeprefix(": "))


def _refuse(sentence: str) -> NoReturn:
    print(f"review: {sentence}", file=sys.stderr)  # noqa: T201 - the one sentence
    sys.exit(WRONG_CALL)


@contextmanager
def _ready_store(settings: Settings) -> "Iterator[Store]":
    from smear.store import Store, schema_problem

    store = Store(settings.database)
    try:
        if problem := schema_problem(store):
            _refuse(explained(problem, settings))
        yield store
    finally:
        store.close()


@app.command()
def serve() -> None:
    """Serve the page and print its address; at first start also a one-time sign-in for an administrator."""
    from review.serving import serve as run
    from smear.logs import set_up_logging

    settings = load_settings()
    set_up_logging(settings.log_level, settings.log_format)
    run(settings)


@app.command("verify-audit")
def verify_audit(
    expect: Annotated[str | None, typer.Option(metavar="HASH", help="Check that the audit holds this hash.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else.")
    ] = False,
) -> None:
    """Verify the audit's chain of hashes, then compare labels, signatures and states of reviews with its lines.

    Print the hash of its last line to keep elsewhere. Exit code 1 if the chain is broken or a row differs.
    """
    from smear.audit import verify

    with _ready_store(load_settings()) as store:
        verdict = verify(store, expect)
    if as_json:
        print(json.dumps({"lines": verdict.lines, "head": verdict.head, "problem": verdict.problem}))  # noqa: T201
    elif verdict.problem is None:
        print(f"{verdict.labels} labels and {verdict.signatures} signatures are as the audit records them")  # noqa: T201
        print(f"{verdict.lines} lines, unbroken; the last one's hash is {verdict.head}")  # noqa: T201
    else:
        for problem in (verdict.problem, *verdict.further):
            print(f"broken: {problem}")  # noqa: T201
    if verdict.problem is not None:
        raise typer.Exit(SOME_FAILED)


@app.command("add-user")
def add_user(
    name: Annotated[str, typer.Argument(help="Name that the person signs in with.")],
    full_name: Annotated[str, typer.Option(metavar="TEXT", help="Full name, as signatures show it.")],
    role: Annotated[str, typer.Option(metavar="ROLE", help="One of viewer, technologist, reviewer, administrator.")],
) -> None:
    """Add an account, and print its one-time password."""
    from review.passwords import Passwords
    from review.people import add
    from smear.audit import CONSOLE

    with _ready_store(load_settings()) as store:
        print(add(store, Passwords(), CONSOLE, name, full_name, role))  # noqa: T201


@app.command("reset-password")
def reset_password(name: Annotated[str, typer.Argument(help="Name that the person signs in with.")]) -> None:
    """Give a person a new one-time password, and print it; also for an administrator who is locked out."""
    from sqlmodel import select

    from review.passwords import Passwords
    from review.people import reset_password as reset
    from smear.audit import CONSOLE
    from smear.names import user_name
    from smear.review_tables import UserRow
    from smear.tables import key

    with _ready_store(load_settings()) as store:
        with store.read() as session:
            row = session.exec(select(UserRow).where(UserRow.name == user_name(name))).one_or_none()
        if row is None:
            _refuse(f"there is no user {name}")
        print(reset(store, Passwords(), CONSOLE, key(row.id)))  # noqa: T201


@app.command("purge-pictures")
def purge_pictures(
    slide: Annotated[str | None, typer.Option(metavar="ID", help="Delete all pictures of this slide.")] = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Say why, for the audit; required with --slide.")] = "",
) -> None:
    """Delete kept pictures: those of one slide, or unlabelled ones older than WNET_KEEP_PICTURES_DAYS."""
    from sqlmodel import select

    from review.purging import purge_old, purge_slide
    from smear.tables import SlideRow, is_named, key

    settings = load_settings()
    with _ready_store(settings) as store:
        if slide is None:
            purged = purge_old(store, settings)
        else:
            if not reason.strip():
                _refuse("purge-pictures --slide needs a --reason")
            with store.read() as session:
                rows = session.exec(select(SlideRow).where(is_named(slide))).all()
            if not rows:
                _refuse(f"there is no slide {slide}")
            purged = sum(purge_slide(store, settings, key(row.id), reason.strip()) for row in rows)
    print(f"{purged} pictures deleted")  # noqa: T201
