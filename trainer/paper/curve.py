"""The learning curve of the small set: what each share of its cells is worth, from scratch and from the large set."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.ticker import FixedLocator, NullLocator

from smear.cells import CELL_TYPES
from trainer.paper.tables import Table
from trainer.report.facts import Facts
from trainer.report.ink import RIGHT, WRONG, figure, plain, png
from trainer.resample import Interval


@dataclass(frozen=True)
class Point:
    """About `cells` cells to train on: class average in per cent, None where the row has not been run."""

    share: float
    cells: int
    scratch: Interval | None
    further: Interval | None

    def as_json(self) -> dict[str, Any]:
        """Rounded to a thousandth."""
        both = {"scratch": self.scratch, "further": self.further}
        return {"share": self.share, "cells": self.cells} | {
            name: value.as_json() if value else None for name, value in both.items()
        }


def points(table: Table, told: Mapping[str, Facts]) -> tuple[Point, ...]:
    """By rising share; none for tables without a curve."""
    if not any(row.share < 1 for row in table.rows):
        return ()
    scratch = {row.share: row for row in table.rows if not row.further and row.recipe == "small"}
    further = {row.share: row for row in table.rows if row.further and row.recipe == "small"}
    found = []
    for share in sorted(scratch):
        both = [told.get(row.name) for row in (scratch[share], further[share])]
        known = [facts for facts in both if facts is not None]
        if known:
            info = known[0].run.info
            # Of each type one cell at least is kept.
            cells = max(len(CELL_TYPES), round(share * info.images * (info.folds - 1) / info.folds))
            found.append(Point(share, cells, *(facts.class_average if facts else None for facts in both)))
    return tuple(found)


def worth(curve: Sequence[Point]) -> list[str]:
    """How many cells of the small set the large one saves, at each share, in sentences."""
    scratch = [(point.cells, point.scratch.value) for point in curve if point.scratch]
    sentences = []
    for point in curve:
        if point.further is None or not scratch:
            continue
        needed = cells_needed(scratch, point.further.value)
        start = f"With about {point.cells} cells the network of the large set, trained further, reaches"
        start += f" {point.further.value:.1f} %; from scratch"
        if needed is None:
            most, best = scratch[-1]
            sentences.append(f"{start} {most}, the most that were tried, reach {best:.1f} %.")
        elif needed <= point.cells:
            sentences.append(f"{start} no more cells are needed for that.")
        elif needed == scratch[0][0]:
            sentences.append(f"{start} that takes {needed} cells at most: fewer were not tried.")
        else:
            sentences.append(f"{start} that takes about {needed} cells (interpolated).")
    return sentences


def cells_needed(scratch: Sequence[tuple[int, float]], value: float) -> int | None:
    """The fewest cells at which the curve reaches the value, between its points by their logarithms; None nowhere."""
    before: tuple[int, float] | None = None
    for cells, reached in scratch:
        if reached >= value:
            if before is None:
                return cells
            way = (value - before[1]) / (reached - before[1])
            return round(math.exp(math.log(before[0]) + way * (math.log(cells) - math.log(before[0]))))
        before = (cells, reached)
    return None


def curve_plot(curve: Sequence[Point]) -> bytes:
    """Class average against cells, with 95 % limits -> PNG."""
    drawn = figure(7.2, 4.0)
    axes = drawn.add_subplot()
    for name, colour, label in (("further", RIGHT, "trained further"), ("scratch", WRONG, "from scratch")):
        known = [(point.cells, value) for point in curve if (value := getattr(point, name)) is not None]
        if known:
            x, y = [cells for cells, _ in known], [value.value for _, value in known]
            axes.plot(x, y, color=colour, marker="o", linewidth=2, label=label)
            for cells, value in known:
                axes.plot([cells, cells], [value.low, value.high], color=colour, alpha=0.5)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator([point.cells for point in curve]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:.0f}")
    plain(axes, title="Class average by cells trained on", x="cells of the small set", y="per cent")
    if curve:
        axes.legend(fontsize=8, frameon=False)
    return png(drawn)
