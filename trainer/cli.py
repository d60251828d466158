"""The `trainer` command: translate the call, do it, translate back."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from smear import bundle
from smear.bundle import Bundle
from smear.decision import OutsideScore
from smear.geometry import PROFILES, Profile, profile
from smear.labelled import BadDataFolder, LabelledCell, Pixels, load_pixels, read_folder
from trainer import describe as description
from trainer import produce, terminal, training_set
from trainer import split as splitting
from trainer.calibrate import CHOSEN_SCORE
from trainer.evaluate import evaluate as evaluate_subject
from trainer.evaluate import open_subject
from trainer.export import weights_from_bundle
from trainer.fit import Training, run
from trainer.memory import keep_freed
from trainer.recipes import Recipe
from trainer.terminal import Bars, plain_errors


app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False, help="Trains W-Net.")


class Part(StrEnum):
    """Which of a data folder's cells to judge on."""

    ALL = "all"
    HOLDOUT = "holdout"


class Model(StrEnum):
    """The networks that can be described."""

    WNET = "wnet"


Data = Annotated[Path, typer.Option(help="Data folder: DIR/<cell type>/<picture>.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, nothing else there.")]
Geometry = Annotated[str, typer.Option(help=f"Geometry profile: {', '.join(PROFILES)}.")]
BundleGeometry = Annotated[str | None, typer.Option(help="Geometry profile; the bundle's own by default.")]
Out = Annotated[Path, typer.Option(help="Folder that bundles lie in.")]
Network = Annotated[Path, typer.Argument(help="A bundle's folder, or the checkpoint file of an unfinished run.")]
Threads = Annotated[int, typer.Option(min=0, help="Threads of torch; 0 leaves it to torch.")]
Name = Annotated[str, typer.Option(help="Name of the bundle to make.")]


def main() -> None:
    """Entry point of the console script."""
    app()


@app.command()
def describe(
    model: Annotated[Model, typer.Option(help="Network.")] = Model.WNET,
    data: Annotated[Path | None, typer.Option(help="Count this data folder's cells instead.")] = None,
    json: AsJson = False,
) -> None:
    """Print the network layer by layer, or with --data the cells of a data folder by type."""
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
            terminal.print_json({"model": model.value} | description.as_json(description.layers()))
        else:
            Console().print(terminal.layer_table(description.layers()))


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
def fit(
    *,
    data: Data,
    name: Name,
    out: Out = Path("models"),
    geometry: Geometry = "di60",
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training part.")] = Recipe.epochs,
    seed: Annotated[int, typer.Option(min=0, help="Keys every random number.")] = 0,
    init: Annotated[Path | None, typer.Option(help="Bundle to start from instead of random weights.")] = None,
    elsewhere: Annotated[Path | None, typer.Option(help="Another laboratory's cut cells, to judge on.")] = None,
    outside: Annotated[Path | None, typer.Option(help="Cells outside the five, DIR/<kind>/, to judge on.")] = None,
    threads: Threads = 0,
    json: AsJson = False,
) -> None:
    """Train W-Net to a new bundle. Interrupted, the same command goes on from the last epoch and ends the same."""
    console = Console(stderr=True)
    with plain_errors(console), terminal.bars(console) as bars:
        produce.check_name(out, name)
        order = produce.Order(
            out, name, data, _profile(geometry), replace(Recipe(), epochs=epochs), seed,
            bundle.load(init) if init else None, elsewhere, outside,
        )  # fmt: skip
        _prepare_torch(threads)
        made = _fit(order, bars)
    if json:
        terminal.print_json({"bundle": made.bundle_id, "folder": str(made.folder), "scores": made.manifest.scores})
    else:
        console.print(f"{made.bundle_id} is in {made.folder}", highlight=False)


@app.command()
def evaluate(
    *,
    network: Network,
    data: Data,
    geometry: BundleGeometry = None,
    part: Annotated[Part, typer.Option(help="All cells, or those alone that the hold-out was made from.")] = Part.ALL,
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
        scores = evaluate_subject(subject, _pixels(cells, data, _profile(geometry, subject.geometry), bars))
    if json:
        terminal.print_json(scores.as_json())
    else:
        Console().print(terminal.score_table(scores))


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
        console.print(f"{made.bundle_id} is in {made.folder}", highlight=False)


def _fit(order: produce.Order, bars: Bars) -> Bundle:
    choice = training_set.choose(order.data, order.recipe.inner_share, training_set.withheld())
    others = produce.read_others(order)
    loaded = training_set.load(choice, order.geometry, bars.reading(len(choice.train) + len(choice.inner)))
    training = Training(order.recipe, loaded, order.seed, weights_from_bundle(order.init) if order.init else None)
    checkpoint = produce.checkpoint_of(order, loaded)
    if (state := checkpoint.load()) is not None:
        training.restore(state)
    on_step, on_epoch = bars.training(training.epochs_done, order.recipe.epochs, training.steps_per_epoch)
    run(training, checkpoint, on_epoch, on_step)
    made = produce.produce(order, choice, loaded, training.average, others)
    checkpoint.remove()
    return made


def _pixels(cells: list[LabelledCell], folder: Path, geometry: Profile, bars: Bars) -> Pixels:
    pixels = load_pixels(cells, geometry, bars.reading(len(cells)))
    if not pixels.cells:
        reason = pixels.refused[0][1] if pixels.refused else "there is none"
        raise BadDataFolder(f"{folder} holds no picture that can be used: {reason}")
    if pixels.refused:
        first, reason = pixels.refused[0]
        bars.progress.console.print(f"left out {len(pixels.refused)}, first {first.path.name}: {reason}", markup=False)
    return pixels


def _profile(name: str | None, default: Profile | None = None) -> Profile:
    if name is None and default is not None:
        return default
    try:
        return profile(name or "")
    except ValueError as error:
        raise produce.BadOrder(str(error)) from None


def _prepare_torch(threads: int) -> None:
    keep_freed()
    if threads:
        torch.set_num_threads(threads)
