"""How every plot of a report looks: colours that the colour-blind tell apart, light frames, one way to become a PNG."""

import io
from typing import Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from smear.cells import CELL_TYPES


INK: Final = "#1f2933"
FAINT: Final = "#6b7785"
GRID: Final = "#e3e8ee"
PAPER: Final = "#ffffff"
RIGHT: Final = "#0072b2"
WRONG: Final = "#d55e00"
#: Okabe and Ito's palette (2008).
TYPE_COLOURS: Final = dict(zip(CELL_TYPES, ("#0072b2", "#d55e00", "#7b4fa3", "#009e73", "#b8860b"), strict=True))

_DPI: Final = 160


def figure(width_inch: float, height_inch: float) -> Figure:
    """An empty figure with its own canvas: no global state, no display."""
    made = Figure(figsize=(width_inch, height_inch), dpi=_DPI, facecolor=PAPER, layout="constrained")
    FigureCanvasAgg(made)
    return made


def plain(axes: Axes, *, title: str = "", x: str = "", y: str = "") -> None:
    """Light frame and grid behind the data, small type."""
    axes.set_title(title, loc="left", fontsize=10, color=INK, fontweight="bold")
    axes.set_xlabel(x, fontsize=9, color=FAINT)
    axes.set_ylabel(y, fontsize=9, color=FAINT)
    axes.tick_params(labelsize=8, colors=FAINT, length=0)
    axes.grid(visible=True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in {"left", "bottom"})
        spine.set_color(GRID)


def png(drawn: Figure) -> bytes:
    """The figure as a PNG file; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
