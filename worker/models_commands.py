"""Commands over bundles: `worker models list`, `compare`, `promote`, `rollback`, and `worker rerun`."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smear.names import spellings
from smear.settings import Settings, load_settings
from worker import show
from worker.terminal import SOME_FAILED, Json, err, out, print_json, ready_store, refuse, stored_name


if TYPE_CHECKING:
    from smear.bundle import Bundle
    from smear.store import Store
    from worker.engines.face import Engine


# Each command imports what it alone needs, as in worker/cli.py. (ruff's PLC0415 is off for this file.)

models = typer.Typer(help="Show, compare and choose the bundles that classify.", no_args_is_help=True)

Reason = Annotated[str, typer.Option(metavar="TEXT", help="Say why, for the audit.")]


@models.command("list")
def list_(as_json: Json = False) -> None:
    """Show every bundle, which one is in use, the scorecards of challengers, and the result of the latest night."""
    from worker.promoting import listed

    settings = load_settings()
    with ready_store(settings) as store:
        told = listed(store, settings.models_folder) | {"engine": settings.engine, "precision": settings.precision}
    if as_json:
        print_json(told)
        return
    out.print(show.bundles_table(told["bundles"]))
    line = f"Set here: engine {told['engine']}, precision {told['precision']} (WNET_ENGINE, WNET_PRECISION)"
    out.print(line, markup=False, highlight=False, soft_wrap=True)
    for one in told["bundles"]:
        if one["scorecard"] and not one["serves"]:
            out.print(show.scorecard_table(one["scorecard"]))
    if told["night"]:
        line = f"The night of {told['night']['night']}: {told['night']['sentence']}"
        out.print(line, markup=False, highlight=False, soft_wrap=True)


@models.command()
def promote(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the bundle.")],
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Put a bundle into use. Workers switch to it between two slides, without a restart."""
    from worker.promoting import promote as do_promote

    settings = load_settings()
    with ready_store(settings) as store:
        before, now = do_promote(store, settings, name, reason)
    _say(before, now, as_json)


@models.command()
def rollback(reason: Reason, as_json: Json = False) -> None:
    """Undo the latest promotion, and use the bundle from before it."""
    from worker.promoting import rollback as do_rollback

    settings = load_settings()
    with ready_store(settings) as store:
        before, now = do_rollback(store, reason)
    _say(before, now, as_json)


@models.command()
def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="A bundle's name or folder.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another bundle's name or folder.")],
    data: Annotated[Path, typer.Option(metavar="DIR", help="Labelled pictures: DIR/<cell type>/<picture>.")],
    geometry: Annotated[
        str | None,
        typer.Option(metavar="G", help="What a picture shows: di60 or whole. Default: as each bundle was trained."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare two bundles on the same labelled pictures, with 95 % limits of the difference."""
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
    bundle: Annotated[str, typer.Option(metavar="NAME", help="Name or folder of the other bundle.")],
    slides: Annotated[
        list[str] | None, typer.Argument(metavar="SLIDE", help="Names of slides. Default: all finished ones.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Reclassify past slides with another bundle and compare. Nothing is stored.

    Exit code 1 if pictures or slides are missing, or a named slide was reported by this very bundle.
    """
    from worker.rerun import Rerun

    settings = load_settings()
    wanted = {stored_name(name) for name in slides or []}
    same = Counter[str]()
    with ready_store(settings) as store:
        opened, engine = _open(store, settings, bundle)
        rerun = Rerun(store, settings, opened, engine)
        told, done, whole = [], set(), True
        for one in rerun.slides(wanted, lambda name: same.update([name if wanted else ""])):
            whole = whole and not one["pictures_gone"]
            done.add(one["slide_id"] if wanted else "")
            if as_json:
                print_json(one)
            else:
                told.append(one)
    if same and not done:
        refuse(f"{opened.bundle_id} itself reported these slides; name another bundle to compare it with")
    if not as_json:
        out.print(show.rerun_table(told))
    if same:
        how_many = "1 slide" if same.total() == 1 else f"{same.total()} slides"
        err.print(f"left out: {how_many} that {opened.bundle_id} itself reported", highlight=False)
    missing = sorted(name for name in wanted if not {*done, *same}.intersection(spellings(name)))
    for name in missing:
        err.print(f"no finished slide {name!r}", markup=False, highlight=False)
    if missing or not whole or (wanted and same):
        raise typer.Exit(SOME_FAILED)


def _open(store: "Store", settings: Settings, name: str) -> "tuple[Bundle, Engine]":
    """A bundle by name or folder, with the engine that runs it here. Raises PlainError."""
    from smear import bundle as bundles
    from worker.engines.select import open_engine
    from worker.promoting import find

    known = (Path(name) / bundles.MANIFEST).is_file()
    one = bundles.load(Path(name)) if known else find(store, settings.models_folder, name)[1]
    return one, open_engine(one, settings.engine, settings.engine_threads, settings.engines_folder, settings.precision)


def _say(before: str, now: str, as_json: bool) -> None:
    if as_json:
        print_json({"before": before, "serves": now})
    else:
        out.print(f"{now} serves instead of {before}", highlight=False)
