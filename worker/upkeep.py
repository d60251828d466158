"""Commands that operate the service: status, retry, quarantine, purge."""

import sys
from typing import Annotated, Any

import typer

from smear.names import each_once
from smear.settings import MAX_DAYS, load_settings
from worker import show
from worker.terminal import SOME_FAILED, Json, err, out, print_json, ready_store, refuse, stored_name


# Each command imports what it alone needs, as in worker/cli.py. (ruff's PLC0415 is off for this file.)

quarantine = typer.Typer(help="Show and release the pictures that crash the worker.", no_args_is_help=True)

Digits = Annotated[
    list[str], typer.Argument(metavar="CONTENT", help="The first digits of a picture's SHA-256, six or more.")
]


def status(as_json: Json = False) -> None:
    """Show the state of the service.

    Exit code 1 if something needs a person's attention.
    """
    from smear.store import Store
    from worker.queue import sender
    from worker.status import status as read_status

    settings = load_settings()
    store = Store(settings.database)
    try:
        told = read_status(store, settings, sender(settings))
    finally:
        store.close()
    if as_json:
        print_json(told)
    else:
        show.show_status(out, told)
    if told["needs_attention"]:
        raise typer.Exit(SOME_FAILED)


def retry(
    slides: Annotated[list[str] | None, typer.Argument(metavar="SLIDE", help="Names of failed slides.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Retry every slide that failed.")] = False,
    as_json: Json = False,
) -> None:
    """Queue failed slides again.

    Exit code 1 if one of the named slides has not failed.
    """
    from worker import ledger

    if bool(slides) == failed:
        refuse("name the slides to retry, or say --failed")
    with ready_store(load_settings()) as store:
        # One by one: a name may stand for slides of several sources.
        by_name = {name: ledger.retry(store, [stored_name(name)]) for name in each_once(slides or [])}
        queued = ledger.retry(store, None) if failed else sum(by_name.values())
    if as_json:
        print_json({"queued": queued})
    else:
        out.print(f"{queued} queued again")
    if idle := [stored_name(name) for name, n in by_name.items() if n == 0]:
        err.print(f"no failed slide: {', '.join(idle)}", highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(SOME_FAILED)


@quarantine.command("list")
def list_(as_json: Json = False) -> None:
    """Show every picture in quarantine, and the slides that hold it."""
    from worker.quarantine import entries

    with ready_store(load_settings()) as store:
        found = [entry.to_object() for entry in entries(store)]
    _show(found, as_json)


@quarantine.command("show")
def show_(contents: Digits, as_json: Json = False) -> None:
    """Show how these pictures crashed the worker, and every place where they lie."""
    with ready_store(load_settings()) as store:
        found, unknown = _named(store, contents)
    _show(found, as_json)
    _name_unknown(unknown)


@quarantine.command("release")
def release(
    contents: Annotated[
        list[str] | None,
        typer.Argument(metavar="CONTENT", help="The first digits of a picture's SHA-256, six or more."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Release every picture in quarantine.")] = False,
    as_json: Json = False,
) -> None:
    """Release pictures, and classify the slides that hold them again."""
    from worker import ledger
    from worker import quarantine as held
    from worker.purge import is_gone

    if bool(contents) == everything:
        refuse("name the pictures to release, or say --all")
    settings = load_settings()
    sources = {source.name: source for source in settings.sources}
    with ready_store(settings) as store:
        if contents:
            found, unknown = _named(store, contents)
        else:
            found, unknown = [entry.to_object() for entry in held.entries(store)], []
        contents = [entry["sha256"] for entry in found]
        holders = held.holders(store, contents)
        # A slide whose folder has been cleared away keeps the result it has: there is nothing left to try.
        known = ((h, sources.get(h.source)) for h in holders)
        there = [h.revision for h, s in known if s is None or not is_gone(s.root, h.folder, s.layout)]
        queued = ledger.let_out(store, contents, there)
    if as_json:
        print_json({"released": len(found), "queued": queued})
    else:
        out.print(f"{len(found)} released, {queued} slides queued again")
    _name_unknown(unknown)


def _named(store: Any, contents: list[str]) -> tuple[list[dict[str, Any]], list[str]]:
    from worker.quarantine import MIN_DIGITS, entries

    found: dict[str, dict[str, Any]] = {}
    unknown = []
    for digits in contents:
        if len(digits) < MIN_DIGITS or not digits.isascii():
            refuse(
                f"{digits}: at least {MIN_DIGITS} digits of the picture's SHA-256, as `worker quarantine list` shows"
            )
        matching = entries(store, digits)
        if not matching:
            unknown.append(digits)
        found |= {entry.sha256: entry.to_object() for entry in matching}
    return list(found.values()), unknown


def _show(found: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        for entry in found:
            print_json(entry)
    elif found:
        out.print(show.quarantine_table(found))
    else:
        out.print("Nothing is in quarantine.")


def _name_unknown(unknown: list[str]) -> None:
    if unknown:
        err.print(f"not in quarantine: {', '.join(unknown)}", highlight=False)
        raise typer.Exit(SOME_FAILED)


def purge(
    older_than: Annotated[float, typer.Option(metavar="DAYS", help="Delete slides that finished at least DAYS ago.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be deleted.")] = False,
    as_json: Json = False,
) -> None:
    """Delete the records of old slides whose folder is gone from the drop folder. Signed slides stay."""
    from worker.purge import purge as do_purge

    settings = load_settings()
    if not 0 <= older_than <= MAX_DAYS:
        refuse(f"--older-than is a number of days, at most {MAX_DAYS}")
    with ready_store(settings) as store:
        done = do_purge(store, settings, older_than, dry_run=dry_run)
    if as_json:
        print_json(done.to_object())
    else:
        out.print(done.sentence(), highlight=False)
    if done.away:
        err.print(f"left alone, for their drop folder is not there: {', '.join(done.away)}", highlight=False)
        raise typer.Exit(SOME_FAILED)


def died(
    pid: Annotated[int, typer.Option(help="Number of the process on this machine.")],
    status: Annotated[int, typer.Option(help="Wait status of the process.")],
    out_of_memory: Annotated[bool, typer.Option("--out-of-memory", help="The system ended it for memory.")] = False,
) -> None:
    """Report how a worker ended, so that its slide is queued again before the lease expires. For supervisors."""
    from smear.logs import set_up_logging
    from smear.store import Store
    from worker.dead import bury_patiently
    from worker.ending import of_status, process_name

    settings = load_settings()
    set_up_logging(settings.log_level, settings.log_format)
    store = Store(settings.database)
    try:
        ended = of_status(status, out_of_memory=out_of_memory)
        print(f"worker {pid} {ended.words}", file=sys.stderr)  # noqa: T201 - for whoever reads the supervisor's log
        bury_patiently(store, process_name(pid), ended, settings.max_attempts)
    finally:
        store.close()
