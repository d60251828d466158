"""The contact sheet: the most confidently wrong cells on one picture, each with what was said of it."""

from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes

from trainer.report.ink import FAINT, GRID, INK, WRONG, figure, png
from trainer.report.wrong import Thumbnail


_COLUMNS: Final = 8
_NAME_LENGTH: Final = 22


def contact_sheet(thumbnails: Sequence[Thumbnail]) -> bytes:
    """At most five rows of eight -> PNG; without errors a picture that says so."""
    if not thumbnails:
        drawn = figure(5, 1)
        drawn.text(0.5, 0.5, "every cell was given its type: nothing to show", ha="center", va="center", color=FAINT)
        return png(drawn)
    columns = min(_COLUMNS, len(thumbnails))
    rows = -(-len(thumbnails) // columns)
    drawn = figure(1.5 * columns, 2.0 * rows)
    for number, thumbnail in enumerate(thumbnails, start=1):
        _one(drawn.add_subplot(rows, columns, number), thumbnail)
    return png(drawn)


def _one(axes: Axes, thumbnail: Thumbnail) -> None:
    cell = thumbnail.cell
    if thumbnail.picture is None:
        axes.set_facecolor(GRID)
        axes.text(0.5, 0.5, "picture\nleft out", ha="center", va="center", fontsize=8, color=FAINT)
        axes.set_aspect("equal")
    else:
        axes.imshow(thumbnail.picture, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(GRID)
    axes.set_title(f"{cell.true} →\n{cell.predicted} {100 * cell.probability:.1f} %", fontsize=8, color=WRONG, pad=4)
    # A file may be called anything: no mathematics in dollar signs, no letters that the font lacks.
    axes.set_xlabel(short_name(cell.file), fontsize=6.5, color=INK, labelpad=3, parse_math=False)


def short_name(file: str) -> str:
    """The end of a file name in letters that every font has; the beginning is told by the true type."""
    name = file.rpartition("/")[2].encode("ascii", "backslashreplace").decode("ascii")
    name = "".join(c if c.isprintable() else "?" for c in name)
    return name if len(name) <= _NAME_LENGTH else f"...{name[-_NAME_LENGTH + 3 :]}"
