"""The command `worker results`: what each slide came to, for people, for programs, for spreadsheets."""

import csv
import itertools
import sys
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smear import local_time
from smear.settings import Settings, load_settings
from worker import period, show
from worker.terminal import SOME_FAILED, Json, err, out, print_json, ready_store, refuse, stored_name


if TYPE_CHECKING:
    from smear.store import Store

# Each command imports what it alone needs, as in worker/cli.py. (ruff's PLC0415 is off for this file.)


class State(StrEnum):
    """The states of a slide, as in smear/tables.py; here again, so that `--help` needs no database library."""

    ARRIVING = "arriving"
    QUEUED = "queued"
    CLASSIFIED = "classified"
    REVIEWED = "reviewed"
    SIGNED = "signed"
    FAILED = "failed"
    LISTED = "listed"


Since = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Show only results signed (or, unsigned, classified) at this time or later: a date, or a time such as "
        "2026-11-28T14:05, in the laboratory's time zone.",
    ),
]
Until = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Show only results from before this time; a date includes that whole day."),
]


def results(
    slide: Annotated[str | None, typer.Option(metavar="ID", help="Show only this slide.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Show earlier revisions and other bundles too.")] = False,
    since: Since = None,
    until: Until = None,
    state: Annotated[
        list[State] | None,
        typer.Option(metavar="STATE", help=f"Show only slides in this state: {', '.join(State)}. May be repeated."),
    ] = None,
    source: Annotated[str | None, typer.Option(metavar="NAME", help="Show only slides of this source.")] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Show only the N slides that arrived last.")
    ] = None,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV on standard output.")] = False,
) -> None:
    """Show the results of each slide.

    A signed slide shows what was signed. Exit code 1 if there is no slide of that name.
    """
    from worker.results import is_known
    from worker.results import results as read_results

    if as_json and as_csv:
        refuse("--json and --csv cannot be used together; choose one")
    settings = load_settings()
    bounds = _bounds(since, until, settings)
    with ready_store(settings) as store:
        slide = None if slide is None else stored_name(slide)
        _check_source(store, settings, source)
        found = read_results(
            store, slide_id=slide, everything=everything, source=source, limit=limit,
            states=[one.value for one in state or []], since=bounds[0], until=bounds[1],
        )  # fmt: skip
        payloads = (result.to_object() for result in found)
        first = next(payloads, None)
        slides = itertools.chain([first] if first is not None else [], payloads)
        if first is None and slide is not None and not is_known(store, slide):
            err.print(f"no slide {slide!r}", highlight=False)
            raise typer.Exit(SOME_FAILED)
        if as_json:
            for one in slides:
                print_json(one)
        elif as_csv:
            _print_csv(slides, settings)
        elif first is not None:
            _print_table(list(slides), settings, problems=slide is not None)
        elif slide or source or state or since or until:
            out.print("No such slides.")
        else:
            drops = ", ".join(str(known.root) for known in settings.sources)
            out.print(f"No slides yet: drop some into {drops}", highlight=False)


def _bounds(since: str | None, until: str | None, settings: Settings) -> tuple[datetime | None, datetime | None]:
    if since is None and until is None:
        return None, None
    zone = local_time.zone(settings.timezone)
    begin = None if since is None else period.since(since, zone)
    end = None if until is None else period.until(until, zone)
    if begin is not None and end is not None and begin >= end:
        refuse(f"--since {since} is not before --until {until}")
    return begin, end


def _check_source(store: "Store", settings: Settings, source: str | None) -> None:
    from worker.results import source_names

    known = sorted({*source_names(store), *(one.name for one in settings.sources)})
    if source is not None and source not in known:
        refuse(f"there is no source {source!r}; there are: {', '.join(known)}")


def _print_csv(slides: Iterable[dict[str, Any]], settings: Settings) -> None:
    from worker.results_csv import CSV_COLUMNS, csv_row

    zone = local_time.zone(settings.timezone)
    writer = csv.DictWriter(sys.stdout, CSV_COLUMNS)
    writer.writeheader()
    writer.writerows(csv_row(one, zone) for one in slides)


def _print_table(slides: list[dict[str, Any]], settings: Settings, *, problems: bool) -> None:
    out.print(show.results_table(slides, settings.low_count_cells, local_time.zone(settings.timezone)))
    if problems and (table := show.problems_table(slides)) is not None:
        out.print(table)
