"""The `trainer` command: translate the call, do it, translate back."""

import io
import sys
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from smear import bundle
from smear.decision import OutsideScore
from smear.geometry import Profile, profile
from smear.labelled import BadDataFolder, LabelledCell, Pixels, load_pixels, read_folder
from smear.version import program_version
from trainer import cross_validated, lisc, produce, recipes, terminal, training_set
from trainer import describe as description
from trainer import split as splitting
from trainer.calibrate import CHOSEN_SCORE
from trainer.colours import all_standardised
from trainer.core import write_core, write_outside
from trainer.cv.command import cv
from trainer.evaluate import evaluate as evaluate_subject
from trainer.evaluate import open_subject
from trainer.make import make
from trainer.models import catalogue
from trainer.nightly.command import nightly
from trainer.options import (
    Across,
    AsJson,
    BundleGeometry,
    CrossValidation,
    Data,
    Elsewhere,
    Epochs,
    Geometry,
    Init,
    ModelName,
    Name,
    Out,
    Outside,
    RecipeName,
    Seed,
    SkipUnusable,
    Threads,
    prepare_torch,
    profile_of,
)  # fmt: skip
from trainer.paper.command import paper
from trainer.recipes import BEST, FINETUNE, Recipe
from trainer.terminal import Bars, plain_errors


app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]}
)
app.command()(cv)
app.command()(paper)
app.command()(nightly)


class Part(StrEnum):
    """Which of a data folder's cells to judge on."""

    ALL = "all"
    HOLDOUT = "holdout"


Network = Annotated[Path, typer.Argument(help="A bundle's folder, or the checkpoint file of an unfinished run.")]


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(program_version())
        raise typer.Exit


@app.callback()
def trainer(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Train, judge and compare networks, and make bundles of them."""


def main() -> None:
    """Entry point of the console script."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Folders may be called what a terminal's encoding cannot write: then escapes stand there.
        sys.stdout.reconfigure(errors="backslashreplace")
    app()


@app.command()
def describe(
    model: ModelName = "wnet",
    data: Annotated[Path | None, typer.Option(help="Count this data folder's cells instead.")] = None,
    json: AsJson = False,
) -> None:
    """Print a model layer by layer, or with --data the cells of a data folder by type."""
    console = Console(stderr=True)
    with plain_errors(console):
        if data is not None:
            table = description.table2(read_folder(data))
            if json:
                types = {name: {"count": n, "percent": round(share, 2)} for name, n, share in table}
                terminal.print_json({"images": sum(n for _, n, _ in table), "types": types})
            else:
                Console().print(terminal.type_table(table))
        elif json:
            which = catalogue.model(model)
            terminal.print_json(description.as_json(which.name, which.layers()))
        else:
            which = catalogue.model(model)
            Console().print(terminal.layer_table(which.title, which.layers()))


@app.command()
def split(
    data: Data, out: Annotated[Path, typer.Option(help="Where holdout/ and samples/ are made.")] = Path()
) -> None:
    """Draw, once, the hold-out and the sample slides that no shipped model trains on."""
    console = Console(stderr=True)
    with plain_errors(console):
        drawn = splitting.draw(data)
        splitting.write(drawn, out)
        slides = ", ".join(f"{name} ({len(cells)} cells)" for name, cells in drawn.slides.items())
        console.print(f"hold-out of {len(drawn.holdout)} cells; slides {slides}", highlight=False)


@app.command()
def core(
    data: Data,
    outside: Annotated[Path, typer.Option(help="Cells outside the five, DIR/<kind>/.")],
    out: Annotated[Path, typer.Option(help="Where core/ and outside/ are made.")] = Path(),
) -> None:
    """Draw, once, what nightly fine-tunes replay (60 cells a type) and watch from outside the five (10 a kind)."""
    console = Console(stderr=True)
    with plain_errors(console):
        replayed = write_core(data, training_set.withheld(), out)
        strange = write_outside(outside, out)
        console.print(f"core of {replayed} cells; {strange} cells outside the five", highlight=False)


@app.command()
def import_lisc(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="LISC as its owner gives it.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Data folder to make.")],
    json: AsJson = False,
) -> None:
    """Cut the cells out of LISC's scenes, by its masks, to a data folder for geometry `whole`."""
    console = Console(stderr=True)
    with plain_errors(console):
        made = lisc.import_lisc(source, out)
    if json:
        terminal.print_json({"scenes": made.scenes, "mixed_scenes_left_out": made.mixed, "cells": made.cells})
    else:
        cells = ", ".join(f"{name} {n}" for name, n in made.cells.items())
        left = f"; {made.mixed} scenes of several classes left out" if made.mixed else ""
        console.print(f"{made.scenes} scenes in {out}: {cells}{left}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def fit(
    *,
    data: Data,
    name: Name,
    out: Out = Path("models"),
    geometry: Geometry = "di60",
    recipe: RecipeName = BEST.name,
    epochs: Epochs = None,
    seed: Seed = 0,
    init: Init = None,
    across: Across = False,
    elsewhere: Elsewhere = None,
    outside: Outside = None,
    cv: CrossValidation = None,
    skip_unusable: SkipUnusable = False,
    threads: Threads = 0,
    json: AsJson = False,
) -> None:
    """Train W-Net to a new bundle. Interrupted, the same command goes on from the last epoch and ends the same."""
    console = Console(stderr=True)
    with plain_errors(console):
        order = produce.Order(
            "fit", out, name, data, profile_of(geometry), _with_inner_split(recipes.recipe(recipe), epochs), seed,
            bundle.load(init) if init else None, elsewhere, outside, None, skip_unusable,
            cross_validated.read(cv) if cv else None, cv,
        )  # fmt: skip
        _make(order, across, threads, console, json)


@app.command()
def finetune(
    *,
    init: Annotated[Path, typer.Option(help="Bundle to train on from.")],
    data: Data,
    name: Name,
    replay: Annotated[Path | None, typer.Option(help="Base set, cells of which are mixed in, evenly by type.")] = None,
    out: Out = Path("models"),
    geometry: BundleGeometry = None,
    recipe: RecipeName = FINETUNE.name,
    epochs: Epochs = None,
    seed: Seed = 0,
    across: Across = False,
    elsewhere: Elsewhere = None,
    outside: Outside = None,
    skip_unusable: SkipUnusable = False,
    threads: Threads = 0,
    json: AsJson = False,
) -> None:
    """Train a bundle's network further, on new cells, to a new bundle. Interrupted, the same command goes on."""
    console = Console(stderr=True)
    with plain_errors(console):
        start = bundle.load(init)
        order = produce.Order(
            "finetune", out, name, data, profile_of(geometry, profile(start.manifest.geometry)),
            _with_inner_split(recipes.recipe(recipe), epochs), seed, start, elsewhere, outside, replay, skip_unusable,
        )  # fmt: skip
        _make(order, across, threads, console, json)


@app.command()
def evaluate(
    *,
    network: Network,
    data: Data,
    geometry: BundleGeometry = None,
    part: Annotated[Part, typer.Option(help="All cells, or those alone that the hold-out was made from.")] = Part.ALL,
    standardise_colours: Annotated[
        bool, typer.Option("--standardise-colours", help="Bring another laboratory's colours to those of pbc first.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Judge a bundle (through its ONNX file) or an unfinished run's checkpoint on labelled cells."""
    console = Console(stderr=True)
    with plain_errors(console), terminal.bars(console) as bars:
        subject = open_subject(network)
        cells = read_folder(data, min_per_type=0)
        if part is Part.HOLDOUT:
            held_out = training_set.withheld().holdout
            cells = [cell for cell in cells if cell.sha256 in held_out]
        pixels = _pixels(cells, data, profile_of(geometry, subject.geometry), bars)
        if standardise_colours:
            pixels = replace(pixels, images=all_standardised(pixels.images))
        scores = evaluate_subject(subject, pixels)
    if json:
        terminal.print_json(scores.as_json())
    else:
        Console().print(terminal.score_table(scores))


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of finished cross-validations, the first against each.")],
    json: AsJson = False,
) -> None:
    """Compare runs cell by cell: McNemar's test, and the bootstrap interval of their difference."""
    console = Console(stderr=True)
    with plain_errors(console):
        from trainer.compare import paired, show  # a second of imports that other commands need not wait for

        comparison = paired.compare(runs)
        if json:
            terminal.print_json(comparison.as_json())
        else:
            Console().print(show.table(comparison))


@app.command()
def calibrate(
    *,
    network: Annotated[Path, typer.Argument(help="Bundle whose network is kept.")],
    data: Data,
    name: Name,
    out: Out = Path("models"),
    score: Annotated[OutsideScore, typer.Option(help="What tells cells outside the five.")] = CHOSEN_SCORE,
    json: AsJson = False,
) -> None:
    """Fit temperature and outside threshold again, on cells the network was not trained on, into a new bundle."""
    console = Console(stderr=True)
    with plain_errors(console), terminal.bars(console) as bars:
        produce.check_name(out, name)
        parent = bundle.load(network)
        pixels = _pixels(read_folder(data), data, profile(parent.manifest.geometry), bars)
        made = produce.recalibrate(parent, out, name, pixels, data=data, score=score)
    if json:
        calibration = made.manifest.calibration.model_dump(mode="json")
        terminal.print_json({"bundle": made.bundle_id, "folder": str(made.folder), "calibration": calibration})
    else:
        terminal.say_made(made, console)


def _with_inner_split(recipe: Recipe, epochs: int | None) -> Recipe:
    """The recipe for a bundle, which cannot do without cells to calibrate on."""
    return replace(recipe, epochs=epochs or recipe.epochs, inner_share=recipe.inner_share or BEST.inner_share)


def _make(order: produce.Order, across: bool, threads: int, console: Console, json: bool) -> None:
    produce.check_init(order.init, order.geometry, across)
    produce.check_cross_validated(order)
    produce.check_name(order.out, order.name)
    prepare_torch(threads)
    with terminal.bars(console) as bars:
        made = make(order, bars)
    if json:
        terminal.print_json({"bundle": made.bundle_id, "folder": str(made.folder), "scores": made.manifest.scores})
    else:
        terminal.say_made(made, console)


def _pixels(cells: list[LabelledCell], folder: Path, geometry: Profile, bars: Bars) -> Pixels:
    pixels = load_pixels(cells, geometry, bars.reading(len(cells)))
    if not pixels.cells:
        reason = pixels.refused[0][1] if pixels.refused else "there is none"
        raise BadDataFolder(f"{folder} holds no picture that can be used: {reason}")
    if pixels.refused:
        first, reason = pixels.refused[0]
        bars.progress.console.print(f"left out {len(pixels.refused)}, first {first.path.name}: {reason}", markup=False)
    return pixels
