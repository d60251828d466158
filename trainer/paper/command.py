"""The command `trainer paper`: translate the call, do it, translate back."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from smear import bundle
from trainer import terminal
from trainer.cv.command import command_given
from trainer.options import AsJson, Data, Device, Geometry, Init, Seed, SkipUnusable, device_of, profile_of
from trainer.paper.order import PaperOrder, epochs_by_row
from trainer.paper.tables import TABLES


def paper(
    *,
    table: Annotated[int, typer.Option(min=min(TABLES), max=max(TABLES), help="Table of the paper.")],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of this table: its rows' runs, and its report.")],
    geometry: Geometry = "di60",
    target: Annotated[Path | None, typer.Option(help="Small set, for tables 5 and 6.")] = None,
    target_geometry: Annotated[str, typer.Option(help="Geometry profile of the small set.")] = "whole",
    folds: Annotated[
        int | None, typer.Option(min=2, max=100, help="Instead of the table's; the title says so.")
    ] = None,
    epochs: Annotated[
        list[str] | None, typer.Option(help="NUMBER, or ROW=NUMBER, instead of the recipe's; the title says so.")
    ] = None,
    row: Annotated[list[str] | None, typer.Option(help="Only these rows, by name; the title says so.")] = None,
    have: Annotated[
        list[Path] | None, typer.Option(help="Finished trainer cv that stands for the row of the same settings.")
    ] = None,
    bfloat16: Annotated[
        list[str] | None, typer.Option(help="These rows of ResNet50 in bfloat16, coarser; the title says so.")
    ] = None,
    init: Init = None,
    seed: Seed = 0,
    jobs: Annotated[int, typer.Option(min=0, help="Folds side by side, one thread each; 0: one a core.")] = 0,
    device: Device = "auto",
    skip_unusable: SkipUnusable = False,
    json: AsJson = False,
) -> None:
    """Repeat a table of the paper on your data, set beside the paper's own. Interrupted, the same command goes on."""
    console = Console(stderr=True)
    with terminal.plain_errors(console):
        # Drawing takes a second to import, which other commands need not wait for.
        from trainer.paper.campaign import repeat  # noqa: PLC0415

        which = TABLES[table]
        order = PaperOrder(
            which, out, data, profile_of(geometry), target, profile_of(target_geometry), folds,
            epochs_by_row(epochs or [], which), tuple(row or []), tuple(have or []),
            bundle.load(init) if init else None, seed, device_of(device), skip_unusable, tuple(bfloat16 or []),
            command_given(),
        )  # fmt: skip
        found = repeat(order, jobs, console)
        if json:
            terminal.print_json(found)
        else:
            terminal.say_table(found, out, console)
