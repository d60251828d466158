"""The confusion matrix as a picture: counts and row per cent, what is right in one colour, what is wrong in another."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from smear.cells import CELL_TYPES
from trainer.report.ink import FAINT, GRID, INK, PAPER, RIGHT, WRONG, figure, png


#: Errors are few: a tenth of a row already takes the full colour.
_FULL_ERROR_SHARE: Final = 0.10


def confusion_plot(confusion: Sequence[Sequence[int]]) -> bytes:
    """(5, 5) counts, a row a true type -> PNG."""
    drawn = figure(6.4, 5.6)
    axes = drawn.add_subplot()
    size = len(CELL_TYPES)
    for row, counts in enumerate(confusion):
        total = sum(counts)
        for column, count in enumerate(counts):
            share = count / total if total else 0.0
            strength = _strength(share, right=row == column)
            colour = RIGHT if row == column else WRONG
            face = tuple(1 - strength * (1 - np.array(to_rgb(colour))))
            axes.add_patch(Rectangle((column, row), 1, 1, facecolor=face, edgecolor=GRID, linewidth=1))
            ink = PAPER if strength > 0.82 else INK if count else FAINT
            axes.text(column + 0.5, row + 0.44, f"{count:,}", ha="center", va="center", fontsize=12, color=ink)
            if total:
                text = f"{100 * share:.1f} %"
                axes.text(column + 0.5, row + 0.68, text, ha="center", va="center", fontsize=8, color=ink)
    axes.set_xlim(0, size)
    axes.set_ylim(size, 0)
    axes.set_aspect("equal")
    axes.set_xticks([i + 0.5 for i in range(size)], CELL_TYPES, fontsize=9, color=INK)
    axes.set_yticks([i + 0.5 for i in range(size)], CELL_TYPES, fontsize=9, color=INK)
    axes.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    axes.set_ylabel("true type", fontsize=9, color=FAINT)
    axes.set_xlabel("predicted type (per cent of the row)", fontsize=9, color=FAINT)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return png(drawn)


def _strength(share: float, *, right: bool) -> float:
    """How much of the full colour a field takes, 0 to 1."""
    return 0.9 * share if right else 0.9 * min(1.0, share / _FULL_ERROR_SHARE) ** 0.5
