"""The command `trainer cv`: translate the call, do it, translate back."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from smear import bundle
from trainer import produce, recipes, terminal
from trainer.cv.campaign import cross_validate, prepare
from trainer.cv.plan import Order
from trainer.options import (
    Across,
    AsJson,
    Data,
    Device,
    Elsewhere,
    Epochs,
    Geometry,
    Init,
    RecipeName,
    Seed,
    device_of,
    profile_of,
)  # fmt: skip


def cv(
    *,
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of this run: its state, and what comes of it.")],
    recipe: RecipeName = "best",
    folds: Annotated[int, typer.Option(min=2, max=100, help="Parts that the cells are divided into.")] = 10,
    epochs: Epochs = None,
    seed: Seed = 0,
    geometry: Geometry = "di60",
    init: Init = None,
    across: Across = False,
    elsewhere: Elsewhere = None,
    tune: Annotated[
        bool, typer.Option("--tune", help="Score folds 0 and 1 on an inner tenth, to choose a recipe by.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=0, help="Folds side by side, one thread each; 0: one a core.")] = 0,
    device: Device = "auto",
    json: AsJson = False,
) -> None:
    """Cross-validate, as the paper's Table 3. Interrupted, the same command goes on and ends with the same numbers."""
    console = Console(stderr=True)
    with terminal.plain_errors(console):
        chosen = recipes.recipe(recipe)
        if epochs is not None:
            chosen = replace(chosen, epochs=epochs)
        order = Order(
            out, data, profile_of(geometry), chosen, folds, seed, bundle.load(init) if init else None,
            device_of(device), tune, elsewhere, " ".join(["trainer", *(_plain(word) for word in sys.argv[1:])]),
        )  # fmt: skip
        produce.check_init(order.init, order.geometry, across)
        with terminal.bars(console) as bars:
            plan = prepare(order, bars.reading(None))
        found = cross_validate(plan, jobs, console)
    if json:
        terminal.print_json(found)
    else:
        terminal.print_cv(found, out)


def _plain(word: str) -> str:
    """Folders by name alone, as hosts keep them at different places."""
    return Path(word).name if "/" in word else word
