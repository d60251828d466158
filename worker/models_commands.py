"""Commands over bundles: `worker models list`, `compare`, `promote`, `rollback`."""

from pathlib import Path
from typing import Annotated

import typer

from smear.settings import load_settings
from worker import show
from worker.terminal import Json, out, print_json, ready_store


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
    from smear import bundle as bundles
    from worker.beside import compare as beside
    from worker.engines.select import open_engine
    from worker.promoting import find

    settings = load_settings()
    opened = []
    with ready_store(settings) as store:
        for name in (first, second):
            folder = Path(name)
            known = (folder / bundles.MANIFEST).is_file()
            one = bundles.load(folder) if known else find(store, settings.models_folder, name)[1]
            opened.append(
                (one, open_engine(one, settings.engine, settings.engine_threads, settings.engines_folder))
            )  # fmt: skip
    told = beside(opened[0], opened[1], data, geometry)
    if as_json:
        print_json(told)
    else:
        out.print(show.beside_table(told))


def _say(before: str, now: str, as_json: bool) -> None:
    if as_json:
        print_json({"before": before, "serves": now})
    else:
        out.print(f"{now} serves instead of {before}", highlight=False)
