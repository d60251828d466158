"""The command `trainer cv`: translate the call, do it, translate back."""

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from smear import bundle
from smear.files import real
from trainer import produce, terminal
from trainer.cv.campaign import cross_validate, prepare
from trainer.cv.laid_down import held
from trainer.cv.plan import LEAST_TUNED, Order
from trainer.models import catalogue
from trainer.options import (
    Across,
    AnyRecipeName,
    AsJson,
    Data,
    Device,
    Elsewhere,
    Epochs,
    Geometry,
    Init,
    ModelName,
    Seed,
    SkipUnusable,
    device_of,
    profile_of,
)  # fmt: skip


def cv(
    *,
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of this run: its state, and what comes of it.")],
    model: ModelName = "wnet",
    recipe: AnyRecipeName = None,
    folds: Annotated[int, typer.Option(min=2, max=100, help="Parts that the cells are divided into.")] = 10,
    epochs: Epochs = None,
    seed: Seed = 0,
    geometry: Geometry = "di60",
    init: Init = None,
    across: Across = False,
    elsewhere: Elsewhere = None,
    tune: Annotated[
        bool, typer.Option("--tune", help="Score folds 0 and 1 on parts of their training parts: to choose a recipe.")
    ] = False,
    share: Annotated[
        float, typer.Option(min=0.001, max=1, help="Train each fold on this share of its training part alone.")
    ] = 1.0,
    jobs: Annotated[int, typer.Option(min=0, help="Folds side by side, one thread each; 0: one a core.")] = 0,
    device: Device = "auto",
    skip_unusable: SkipUnusable = False,
    json: AsJson = False,
) -> None:
    """Cross-validate, as the paper's Table 3. Interrupted, the same command goes on and ends with the same numbers."""
    started = time.monotonic()
    console = Console(stderr=True)
    with terminal.plain_errors(console):
        which = catalogue.model(model)
        order = Order(
            out, data, profile_of(geometry), which.recipe(recipe, epochs), folds, seed,
            bundle.load(init) if init else None, device_of(device), tune, elsewhere, skip_unusable, command_given(),
            which, share,
        )  # fmt: skip
        check(order, across)
        found = carry_out(order, jobs, console, started)
    if json:
        terminal.print_json(found)
    else:
        terminal.print_cv(found, out)


def carry_out(order: Order, jobs: int, console: Console, started: float) -> dict[str, Any]:
    """Do what is not done yet of the order in its folder; the content of `cv.json`."""
    with held(order.out):
        with terminal.bars(console) as bars:
            plan = prepare(order, bars.reading(None))
        for pixels in (plan.pixels, plan.elsewhere):
            terminal.say_refused(pixels.refused if pixels else [], console)
        return cross_validate(plan, jobs, console, started)


def command_given() -> str:
    """The command line as it was given, folders by name alone, as hosts keep them at different places."""
    return " ".join(["trainer", *(_plain(word) for word in sys.argv[1:])])


def check(order: Order, across: bool) -> None:
    """Raise BadOrder for what would cost hours and come to nothing."""
    if order.init is not None and not order.model.from_bundles:
        raise produce.BadOrder(f"{order.model.name} cannot start from a bundle, which holds a W-Net; leave --init out")
    produce.check_init(order.init, order.geometry, across)
    if order.tune and order.folds < LEAST_TUNED:
        raise produce.BadOrder(f"--tune scores one fold on another, so it needs --folds {LEAST_TUNED} at least")
    out, data = real(order.out), real(order.data)
    if out.is_relative_to(data):
        raise produce.BadOrder(f"{order.out} lies in the data folder, which is only read; choose another folder")
    if order.init is not None and data.name in order.init.manifest.data.name.split(" and "):
        raise produce.BadOrder(
            f"{order.init.bundle_id} was trained on {data.name}: it has seen the cells that each fold is tested on; if"
            " these are others, give the data folder another name"
        )


def _plain(word: str) -> str:
    option, equals, value = word.rpartition("=")
    return option + equals + (Path(value).name if "/" in value else value)
