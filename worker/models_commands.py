"""Commands over bundles: `worker models list`, `compare`, `promote`, `rollback`, and `worker rerun`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smear.names import spellings
from smear.settings import Settings, load_settings
from worker import show
from worker.terminal import SOME_FAILED, Json, err, out, print_json, ready_store


if TYPE_CHECKING:
    from smear.bundle import Bundle
    from smear.store import Store
    from worker.engines.face import Engine


# Each command imports what it alone needs, as in worker/cli.py. (ruff's PLC0415 is off for this file.)

models = typer.Typer(help="Which bundle is in use.", no_args_is_help=True, rich_markup_mode=None)

Reason = Annotated[str, typer.Option(help="Why; it stands in the audit.")]


@models.command("list")
def list_(as_json: Json = False) -> None:
    """Every bundle, what serves, challengers with their scorecards, and what came of the latest night."""
    from worker.promoting import listed

    settings = load_settings()
    with ready_store(settings) as store:
        told = listed(store, settings.models_folder)
    if as_json:
        print_json(told)
        return
    out.print(show.bundles_table(told["bundles"]))
    for one in told["bundles"]:
        if one["scorecard"] and not one["serves"]:
            out.print(show.scorecard_table(one["scorecard"]))
    if told["night"]:
        line = f"The night of {told['night']['night']}: {told['night']['sentence']}"
        out.print(line, markup=False, highlight=False, soft_wrap=True)


@models.command()
def promote(name: Annotated[str, typer.Argument(metavar="NAME")], reason: Reason, as_json: Json = False) -> None:
    """Put a bundle into use: workers take it between two slides, without a restart."""
    from worker.promoting import promote as do_promote

    settings = load_settings()
    with ready_store(settings) as store:
        before, now = do_promote(store, settings, name, reason)
    _say(before, now, as_json)


@models.command()
def rollback(reason: Reason, as_json: Json = False) -> None:
    """Take the latest promotion back: what served before serves again."""
    from worker.promoting import rollback as do_rollback

    settings = load_settings()
    with ready_store(settings) as store:
        before, now = do_rollback(store, reason)
    _say(before, now, as_json)


@models.command()
def compare(
    first: Annotated[str, typer.Argument(metavar="A")],
    second: Annotated[str, typer.Argument(metavar="B")],
    data: Annotated[Path, typer.Option(help="Labelled folder: DIR/<cell type>/<picture>.")],
    geometry: Annotated[str | None, typer.Option(metavar="G", help="Default: each bundle's own.")] = None,
    as_json: Json = False,
) -> None:
    """Two bundles (names, or folders) on the same labelled pictures, paired, with 95 % limits."""
    from worker.beside import compare as beside

    settings = load_settings()
    with ready_store(settings) as store:
        opened = [_open(store, settings, name) for name in (first, second)]
    told = beside(opened[0], opened[1], data, geometry)
    if as_json:
        print_json(told)
    else:
        out.print(show.beside_table(told))


def rerun(
    bundle: Annotated[str, typer.Option(help="The bundle's name, or its folder.")],
    slides: Annotated[list[str] | None, typer.Argument(metavar="[SLIDE]...", help="By default all finished.")] = None,
    as_json: Json = False,
) -> None:
    """Old slides under another bundle, beside what was reported; nothing is stored.

    Exit code 1 where pictures are gone, or a slide is not there.
    """
    from worker.rerun import Rerun

    settings = load_settings()
    wanted = list(slides or [])
    with ready_store(settings) as store:
        told = []
        whole = True
        for one in Rerun(store, settings, *_open(store, settings, bundle)).slides(wanted):
            whole = whole and not one["pictures_gone"]
            wanted = [name for name in wanted if one["slide_id"] not in spellings(name)]
            if as_json:
                print_json(one)
            else:
                told.append(one)
    if not as_json:
        out.print(show.rerun_table(told))
    for name in wanted:
        err.print(f"no finished slide {name!r}", markup=False, highlight=False)
    if wanted or not whole:
        raise typer.Exit(SOME_FAILED)


def _open(store: "Store", settings: Settings, name: str) -> "tuple[Bundle, Engine]":
    """A bundle by name or folder, with the engine that runs it here. Raises PlainError."""
    from smear import bundle as bundles
    from worker.engines.select import open_engine
    from worker.promoting import find

    known = (Path(name) / bundles.MANIFEST).is_file()
    one = bundles.load(Path(name)) if known else find(store, settings.models_folder, name)[1]
    return one, open_engine(one, settings.engine, settings.engine_threads, settings.engines_folder)


def _say(before: str, now: str, as_json: bool) -> None:
    if as_json:
        print_json({"before": before, "serves": now})
    else:
        out.print(f"{now} serves instead of {before}", highlight=False)
