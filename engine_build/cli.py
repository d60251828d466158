"""The `engine-build` command: translate the call, do it, translate back."""

import json as json_text
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from engine_build import show
from engine_build.build import PRECISIONS, Bench, build, sensible
from engine_build.calibration import Pictures, name_of, pictures, verification
from engine_build.reference import anchored_logits
from engine_build.verification import judge, open_stored
from smear import bundle, shipped
from smear.bundle import Bundle
from smear.geometry import PROFILES
from smear.labelled import BadDataFolder
from smear.plain import PlainError
from smear.settings import Settings, load_settings
from smear.version import program_version
from worker.engines.face import Engine, EngineUnavailable
from worker.engines.forms import (
    Backend,
    BadForm,
    CannotKeep,
    Precision,
    StoredForm,
    Verification,
    rewrite_verification,
    stored_forms,
)  # fmt: skip
from worker.engines.openvino import OpenVinoEngine
from worker.engines.select import open_engine
from worker.engines.spoken import speak


DISAGREES: Final = 1
BAD_CALL: Final = 2

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]}
)
Folder = Annotated[Path, typer.Argument(metavar="BUNDLE", help="The bundle's folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object a line on standard output, nothing else.")]
Geometry = Annotated[str | None, typer.Option(help=f"Geometry profile: {', '.join(PROFILES)}.")]
_NOTHING: Final = "engine-build: nothing is compiled for this host"


def main() -> None:
    """Entry point of the console script."""
    app()


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(program_version())
        raise typer.Exit


@app.callback()
def engine_build(
    version: Annotated[  # noqa: ARG001 - its callback ends the command
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Compile a bundle for this host, and verify that its compiled forms agree with the reference."""
    speak("engine-build")


@app.command(name="build")
def build_command(
    *,
    folder: Folder,
    backend: Annotated[Backend, typer.Option(help="What to compile for.")] = "openvino",
    precision: Annotated[
        Precision | None, typer.Option(help="Default: each that is worth it on this host, here and now.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Labelled folder: every fourth cell calibrates, the rest verifies. Default: samples, hold-out."
        ),
    ] = None,
    geometry: Geometry = None,
    json: AsJson = False,
) -> None:
    """Compile a bundle for this host, verify the result, and put it where workers look.

    Exit code 1 if a compiled form differs from the reference.
    """
    console = Console(stderr=True)
    with _plain_errors(console), _progress(console) as progress:
        task = progress.add_task("reading the bundle", total=None)
        served = bundle.load(folder)
        if precision is not None and precision not in PRECISIONS[backend]:
            raise ValueError(f"{backend} is built in {', '.join(PRECISIONS[backend])}, not in {precision}")
        bench = _bench(
            served, pictures(served, data, geometry), lambda text: progress.update(task, description=text), console
        )
        made = [
            build(bench, backend, one, lambda text: progress.update(task, description=text))
            for one in ([precision] if precision else sensible(backend))
        ]
    if json:
        for stored in made:
            _print_json(show.form_object(stored))
    else:
        Console().print(show.forms_table(served, made))
    _end(console, [reason for stored in made if (v := stored.form.verification) for reason in v.reasons])


@app.command()
def verify(
    *,
    folder: Folder,
    data: Annotated[Path | None, typer.Option(help="Labelled data folder; the shipped hold-out by default.")] = None,
    geometry: Geometry = None,
    engine: Annotated[
        str, typer.Option(help="all: every compiled form of this host, and what runs without; or auto, openvino, ...")
    ] = "all",
    limit: Annotated[int, typer.Option(min=0, help="Pictures to compare on, spread over all; 0 takes all.")] = 0,
    json: AsJson = False,
) -> None:
    """Compare engines with the float32 reference on real pictures.

    A verdict on a whole set is stored with the compiled form; workers use the fastest form that agrees. Cells that
    forms were calibrated on are left out. Exit code 1 if an engine differs.
    """
    console = Console(stderr=True)
    with _plain_errors(console), _progress(console) as progress:
        task = progress.add_task("reading the bundle", total=None)
        served, settings = bundle.load(folder), load_settings()
        engines = settings.engines_folder
        runners = _runners(served, settings, engine, console)
        calibrated_on = {one.form.calibration for one in stored_forms(engines, served) if isinstance(one, StoredForm)}
        pixels = verification(served, data, geometry, limit, calibrated_on)
        progress.update(task, description=f"reference of {len(pixels.labels)} pictures")
        logits = anchored_logits(served, pixels.images)
        default = OpenVinoEngine(served.network, 1)
        verdicts = []
        for runner, stored in runners:
            progress.update(task, description=runner.name)
            verdict = judge(runner, default, logits, pixels, served, name_of(data) if data else "holdout")
            if stored is not None and not limit:
                _keep(stored, verdict, console)
            verdicts.append((runner.name + ("" if stored else " (not compiled)" if engine == "all" else ""), verdict))
    _tell(served, verdicts, json)
    _end(console, [reason for _, verdict in verdicts for reason in verdict.reasons])


@app.command()
def inspect(
    *,
    folder: Annotated[Path | None, typer.Argument(metavar="[BUNDLE]", help="All shipped bundles by default.")] = None,
    json: AsJson = False,
) -> None:
    """Show a bundle: its training, the engines that run it here, and its compiled forms."""
    console = Console(stderr=True)
    with _plain_errors(console):
        settings = load_settings()
        folders = [folder] if folder else _bundles(shipped.folder("models"))
        for path in folders:
            found = bundle.load(path)
            facts, stored = show.bundle_facts(found, settings), list(stored_forms(settings.engines_folder, found))
            readable = [one for one in stored if isinstance(one, StoredForm)]
            if json:
                _print_json(facts | {"forms": [show.form_object(one) for one in readable]})
            else:
                Console().print(show.facts_table(facts))
                Console().print(show.forms_table(found, readable) if readable else _NOTHING, markup=False)
            for one in stored:
                if isinstance(one, BadForm):
                    _say(console, str(one))


@app.command(hidden=True)
def nightly(night: Annotated[str, typer.Argument(metavar="NIGHT", help="Date of the night.")]) -> None:
    """Run the stage `build` of a night, and store the outcome in its row."""
    from engine_build.nightly import build_night  # noqa: PLC0415 - the database's library is for this command alone
    from smear.store import Store  # noqa: PLC0415 - as above

    console = Console(stderr=True)
    with _plain_errors(console):
        settings = load_settings()
        build_night(Store(settings.database), settings, night)


def _bench(served: Bundle, chosen: Pictures, tell: Any, console: Console) -> Bench:
    tell(f"reference of {len(chosen.verification.labels)} pictures")
    logits = anchored_logits(served, chosen.verification.images)
    default = OpenVinoEngine(served.network, 1)
    return Bench(served, load_settings().engines_folder, chosen, logits, default, partial(_say, console))


def _runners(
    served: Bundle, settings: Settings, choice: str, console: Console
) -> list[tuple[Engine, StoredForm | None]]:
    """What `verify` compares: what runs without a form beside every form there is, or what serves under one choice.

    Why a form does not run here is said and no failure: it may be for another device.
    """
    if choice != "all":
        return [(open_engine(served, choice, 1, settings.engines_folder, settings.precision), None)]
    opened: list[tuple[Engine, StoredForm | None]] = [(open_engine(served, "openvino", 1), None)]
    for stored in stored_forms(settings.engines_folder, served):
        if isinstance(stored, StoredForm):
            try:
                opened.append((open_stored(stored), stored))
            except (EngineUnavailable, BadForm) as error:
                _say(console, f"{stored.form.name} is left out: {error}")
        else:
            _say(console, f"a form is left out: {stored}")
    return opened


def _keep(stored: StoredForm, verdict: Verification, console: Console) -> None:
    try:
        rewrite_verification(stored, verdict)
    except (CannotKeep, BadForm) as error:
        _say(console, str(error))


def _tell(served: Bundle, verdicts: list[tuple[str, Verification]], json: bool) -> None:
    if json:
        for name, verdict in verdicts:
            _print_json(show.verdict_object(served, name.split()[0], verdict))
    else:
        Console().print(show.verdicts_table(served, verdicts))


def _end(console: Console, failures: list[str]) -> None:
    for failure in failures:
        _say(console, failure)
    if failures:
        raise typer.Exit(DISAGREES)


def _progress(console: Console) -> Progress:
    return Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console)


@contextmanager
def _plain_errors(console: Console) -> Iterator[None]:
    try:
        yield
    except (PlainError, BadDataFolder, OSError, ValueError) as error:
        _say(console, str(error))
        raise typer.Exit(BAD_CALL) from None


def _bundles(folder: Path) -> list[Path]:
    # What starts with a dot is still being written, or an unfinished training run.
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _print_json(value: dict[str, Any]) -> None:
    typer.echo(json_text.dumps(value))


def _say(console: Console, sentence: str) -> None:
    console.print(f"engine-build: {' '.join(sentence.split())}", markup=False, highlight=False, soft_wrap=True)
