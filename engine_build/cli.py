"""The `engine-build` command: translate the call, do it, translate back."""

import json as json_text
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from engine_build.agreement import Agreement, compare
from engine_build.reference import reference_logits
from smear import bundle, shipped
from smear.bundle import BadBundle, Bundle
from smear.geometry import PROFILES, Profile, profile
from smear.labelled import BadDataFolder, Pixels, load_pixels, read_folder
from worker.engines.face import EngineUnavailable
from worker.engines.select import open_engine


DISAGREES: Final = 1
BAD_CALL: Final = 2
_ENGINES: Final = ("tensorrt", "openvino", "onnx")

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Compiled forms of a bundle, and the proof that they agree with its reference.",
)
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line on standard output, nothing else there.")]


def main() -> None:
    """Entry point of the console script."""
    app()


@app.command()
def verify(
    *,
    folder: Annotated[Path, typer.Argument(metavar="BUNDLE", help="The bundle's folder.")],
    data: Annotated[Path | None, typer.Option(help="Labelled data folder; the shipped hold-out by default.")] = None,
    geometry: Annotated[str | None, typer.Option(help=f"Geometry profile: {', '.join(PROFILES)}.")] = None,
    engine: Annotated[str, typer.Option(help="Engine to verify: auto, openvino, ...")] = "auto",
    limit: Annotated[int, typer.Option(min=0, help="Pictures to compare on, spread over all; 0 takes all.")] = 60,
    json: AsJson = False,
) -> None:
    """Compare the engine that serves a bundle on this host with the float32 reference; exit code 1 where it differs."""
    console = Console(stderr=True)
    with _plain_errors(console), Progress(console=console) as progress:
        served = bundle.load(folder)
        runner = open_engine(served, engine)
        pixels = _pixels(data, _profile(served, data, geometry), limit)
        task = progress.add_task("reference", total=len(pixels.labels))
        logits = reference_logits(served, pixels.images, lambda n: progress.advance(task, n))
        agreement = compare(runner, logits, pixels.images, pixels.labels, served.manifest.calibration.temperature)
    failures = agreement.failures(served.manifest.limits)
    if json:
        _print_json({"bundle": served.bundle_id} | agreement.as_json() | {"ok": not failures, "reasons": failures})
    else:
        Console().print(_table(served, agreement))
    for failure in failures:
        _say(console, failure)
    if failures:
        raise typer.Exit(DISAGREES)


@app.command()
def inspect(
    *,
    folder: Annotated[Path | None, typer.Argument(metavar="[BUNDLE]", help="All shipped bundles by default.")] = None,
    json: AsJson = False,
) -> None:
    """Say what a bundle is, what it was trained on, and which engines run it on this host."""
    console = Console(stderr=True)
    with _plain_errors(console):
        folders = [folder] if folder else _bundles(shipped.folder("models"))
        found = [_facts(bundle.load(path)) for path in folders]
    for facts in found:
        if json:
            _print_json(facts)
        else:
            table = Table(show_header=False)
            for key, value in facts.items():
                table.add_row(key.replace("_", " "), _plain(value))
            Console().print(table)


@contextmanager
def _plain_errors(console: Console) -> Iterator[None]:
    try:
        yield
    except (BadBundle, BadDataFolder, EngineUnavailable, FileNotFoundError, ValueError) as error:
        _say(console, str(error))
        raise typer.Exit(BAD_CALL) from None


def _bundles(folder: Path) -> list[Path]:
    # What starts with a dot is still being written, or an unfinished training run.
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _pixels(data: Path | None, geometry: Profile, limit: int) -> Pixels:
    folder = data or shipped.folder("holdout")
    cells = read_folder(folder, min_per_type=0)
    if limit and len(cells) > limit:
        # Cells come by type, so an even stride keeps the types' shares.
        cells = [cells[i] for i in np.linspace(0, len(cells) - 1, limit).round().astype(int)]
    pixels = load_pixels(cells, geometry)
    if not pixels.cells:
        reason = pixels.refused[0][1] if pixels.refused else "there is none"
        raise BadDataFolder(f"{folder} holds no picture that can be used: {reason}")
    return pixels


def _profile(served: Bundle, data: Path | None, name: str | None) -> Profile:
    # The shipped hold-out is cut already; a folder of one's own is as the bundle's analyser writes it.
    return profile(name or (served.manifest.geometry if data else "whole"))


def _facts(found: Bundle) -> dict[str, Any]:
    manifest = found.manifest
    return {
        "bundle": found.bundle_id,
        "folder": str(found.folder),
        "created": manifest.created.isoformat(),
        "geometry": manifest.geometry,
        "data": manifest.data.model_dump(),
        "training_mix": manifest.training_mix,
        "parent": manifest.parent,
        "command": manifest.command,
        "calibration": manifest.calibration.model_dump(),
        "engines": {name: _runs(found, name) for name in _ENGINES},
    }


def _runs(found: Bundle, name: str) -> str:
    try:
        return f"runs here as {open_engine(found, name).name}"
    except EngineUnavailable as error:
        return f"does not run here: {error}"


def _table(served: Bundle, agreement: Agreement) -> Table:
    table = Table("figure", agreement.engine, title=f"{served.bundle_id} beside its float32 reference")
    for key, value in agreement.as_json().items():
        if key != "engine":
            table.add_row(key.replace("_", " "), f"{value:g}")
    return table


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{key}: {_plain(inner)}" for key, inner in value.items())
    return str(value)


def _print_json(value: dict[str, Any]) -> None:
    typer.echo(json_text.dumps(value))


def _say(console: Console, sentence: str) -> None:
    console.print(f"engine-build: {' '.join(sentence.split())}", markup=False, highlight=False, soft_wrap=True)
