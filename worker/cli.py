"""`worker`: the command line. Each command reads its call, does one thing, and says what came of it."""

import errno
import io
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from smear.installation import remember
from smear.layout import LAYOUTS
from smear.plain import PlainError
from smear.settings import load_settings
from worker import saving_commands, show, upkeep
from worker.models_commands import models, rerun
from worker.results_command import results
from worker.terminal import CONTEXT, MAINTENANCE, RESULTS, SERVICE, SOME_FAILED, WRONG_CALL, Geometry, Json, Version
from worker.terminal import err as _err
from worker.terminal import out as _out
from worker.terminal import print_json as _print_json
from worker.terminal import ready_store as _ready_store
from worker.terminal import refuse as _refuse


# Each command imports what it alone needs: `worker classify` then starts in half the time, without the database's
# library and Celery. (ruff's PLC0415 is off for this file.)

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, context_settings=CONTEXT)
app.command(rich_help_panel=RESULTS)(results)
app.command(rich_help_panel=RESULTS)(rerun)
app.command(rich_help_panel=SERVICE)(upkeep.status)
app.command(rich_help_panel=SERVICE)(upkeep.retry)
app.command(rich_help_panel=MAINTENANCE)(upkeep.purge)
app.command(rich_help_panel=MAINTENANCE)(saving_commands.backup)
app.command(rich_help_panel=MAINTENANCE)(saving_commands.restore)
app.command(hidden=True)(upkeep.died)
app.add_typer(upkeep.quarantine, name="quarantine", rich_help_panel=SERVICE)
app.add_typer(models, name="models", rich_help_panel=MAINTENANCE)


@app.callback()
def worker(version: Version = False) -> None:
    """Classify the slides in the drop folders and show their results. For Research Use Only."""


def main() -> None:
    """The console script: what is wrong with call or settings is one sentence and exit code 2."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Slides may be called what a terminal of another encoding cannot write: then escapes stand there.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app()
    except PlainError as error:
        _refuse(str(error))
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        sys.stderr.close()
        sys.exit(SOME_FAILED)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"worker: {where}{error.strerror}", file=sys.stderr)  # noqa: T201 - the one sentence
        full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EIO}
        # Python writes what is left when it ends, and would fail again.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - until the end
        sys.exit(SOME_FAILED if full else WRONG_CALL)


@app.command(rich_help_panel=RESULTS)
def classify(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="A slide's folder, or a folder of slides.")],
    as_json: Json = False,
    cells: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Write a CSV file with one row for each picture.")
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Use this bundle. Default: the one in use, else the shipped one.")
    ] = None,
    layout_name: Annotated[
        str | None,
        typer.Option(
            "--layout",
            metavar="L",
            help=f"How slides lie in folders: {', '.join(LAYOUTS)} or flat:PATTERN. Default: WNET_LAYOUT, else slides.",
        ),
    ] = None,
    geometry: Geometry = None,
) -> None:
    """Classify existing slides, without a broker or a service.

    Exit code 1 if some pictures or slides failed.
    """
    from smear import bundle as bundles
    from smear.geometry import profile
    from smear.layout import layout
    from worker.batch import Batch, bundle_folder, cell_rows, cell_writer, find_slides
    from worker.engines.face import EngineUnavailable
    from worker.engines.select import open_engine
    from worker.engines.spoken import speak
    from worker.reading import SlideReader

    speak("worker")
    given: dict[str, Any] = {"layout": layout_name, "geometry": geometry}
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    how = layout(settings.layout_of_paths)
    slides = find_slides(paths, how)
    opened = bundles.load(bundle or bundle_folder(settings))
    try:
        engine = open_engine(
            opened, settings.engine, settings.engine_threads, settings.engines_folder, settings.precision
        )
    except EngineUnavailable as error:
        _refuse(f"WNET_ENGINE={settings.engine}: {error}")
    batch = Batch(settings, opened, engine, SlideReader(), how, profile(settings.geometry_of_paths))
    told: list[dict[str, Any]] = []
    with ExitStack() as stack:
        try:
            writer = (
                None
                if cells is None
                else cell_writer(stack.enter_context(cells.open("w", newline="", encoding="utf-8")))
            )
        except OSError as error:
            _refuse(f"{cells}: {error.strerror}")
        bar = stack.enter_context(_progress_bar())
        row = bar.add_task("slides", total=len(slides), pictures=0)
        pictures = 0

        def picture_done() -> None:
            nonlocal pictures
            pictures += 1

        for slide in slides:
            one, result = batch.one(slide, picture_done)
            told.append(one)
            if as_json:
                _print_json(one)
            if writer is not None and result is not None:
                writer.writerows(cell_rows(one["slide_id"], result))
            bar.update(row, advance=1, pictures=pictures)
    if not as_json:
        _out.print(show.results_table(told, settings.low_count_cells))
        if (problems := show.problems_table(told)) is not None:
            _out.print(problems)
    if any(one["state"] == "failed" or (one["problems"] and one["state"] != "listed") for one in told):
        raise typer.Exit(SOME_FAILED)


def _progress_bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pictures]} pictures"),
        TimeRemainingColumn(),
        console=_err,
        transient=True,
    )


@app.command(rich_help_panel=SERVICE)
def doctor(as_json: Json = False) -> None:
    """Check this installation, and suggest a cure for each problem.

    Exit code 1 if there is a problem.
    """
    from worker.doctor import examine
    from worker.engines.spoken import speak

    speak("worker")
    findings = list(examine(load_settings()))
    if as_json:
        for finding in findings:
            _print_json(finding.to_object())
    else:
        _out.print(show.findings_table(findings))
    if any(finding.verdict == "bad" for finding in findings):
        raise typer.Exit(SOME_FAILED)


@app.command(rich_help_panel=MAINTENANCE)
def migrate(as_json: Json = False) -> None:
    """Bring the database and the bundles to this version."""
    from worker.install import prepare

    settings = load_settings()
    os.umask(0o077)  # the database holds barcodes
    prepare(settings)
    remember(settings)
    if as_json:
        _print_json({"database": "up to date", "bundle": "up to date"})
    else:
        _err.print(f"schema and bundle are up to date in {settings.var}", highlight=False, soft_wrap=True)


@app.command(rich_help_panel=SERVICE)
def watch(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what the drop folders hold; use no database.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Watch the drop folders and queue each slide that has arrived, until stopped."""
    from worker import watching
    from worker.watch.command import watch as watch_until_stopped

    settings = load_settings()
    if dry_run:
        if not watching.show_dry_run(settings, _out, as_json=as_json):
            raise typer.Exit(SOME_FAILED)
        return
    if as_json:
        _refuse("--json goes with --dry-run: a watcher logs on standard error")
    watch_until_stopped(settings, lambda said: _err.print(f"waiting for the database: {said}", soft_wrap=True))


@app.command(rich_help_panel=SERVICE)
def rescan(
    sources: Annotated[
        list[str] | None, typer.Argument(metavar="SOURCE", help="Names of sources. Default: all of them.")
    ] = None,
    by_hash: Annotated[
        bool, typer.Option("--hash", help="Read every byte: find changed files that kept their size and times.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare the drop folders with the database now.

    Exit code 1 if something could not be compared.
    """
    from worker.watching import show_rescan

    settings = load_settings()
    bar = Progress(TextColumn("{task.description}: {task.completed} slides compared"), console=_err, transient=True)
    with _ready_store(settings) as store:
        if not show_rescan(store, settings, sources or [], bar, _out, by_hash=by_hash, as_json=as_json):
            raise typer.Exit(SOME_FAILED)


@app.command(hidden=True)
def broker() -> None:
    """Run this machine's own broker (a process of the Procfile)."""
    from smear.logs import set_up_logging
    from worker.broker import run_broker

    settings = load_settings()
    set_up_logging(settings.log_level, settings.log_format)
    run_broker(settings)
