"""Learning curves as pictures: one thin line a fold, and their mean."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from smear.cells import CELL_TYPES
from trainer.report.ink import FAINT, INK, RIGHT, TYPE_COLOURS, WRONG, figure, plain, png
from trainer.run_folder import Curve, CurveEpoch


Value = Callable[[CurveEpoch], float | None]


def progress_plot(curves: Sequence[Curve]) -> bytes:
    """Loss over the training part beside the class average on pictures the fold has not seen -> PNG."""
    drawn = figure(9.6, 3.4)
    loss, average = drawn.subplots(1, 2)
    _lines(loss, curves, lambda epoch: epoch.loss, WRONG)
    plain(loss, title="Loss, training part", x="epoch", y="cross-entropy (nats)")
    _lines(average, curves, lambda epoch: _percent(epoch.test.class_average if epoch.test else None), RIGHT)
    plain(average, title="Class average, unseen pictures", x="epoch", y="per cent")
    for axes in (loss, average):
        _epochs(axes, curves)
    _focus([average], curves)
    return png(drawn)


def types_plot(curves: Sequence[Curve]) -> bytes:
    """Recall of each type on pictures the fold has not seen -> PNG."""
    drawn = figure(9.6, 2.8)
    panels = drawn.subplots(1, len(CELL_TYPES), sharey=True)
    for axes, name in zip(panels, CELL_TYPES, strict=True):
        _lines(axes, curves, _recall_of(name), TYPE_COLOURS[name])
        plain(axes, title=name, x="epoch", y="recall (per cent)" if axes is panels[0] else "")
        _epochs(axes, curves)
    _focus(panels, curves)
    return png(drawn)


def _recall_of(name: str) -> Value:
    return lambda epoch: _percent(epoch.test.recall.get(name) if epoch.test else None)


def _lines(axes: Axes, curves: Sequence[Curve], value: Value, colour: str) -> None:
    by_epoch: dict[int, list[float]] = {}
    marker = "o" if all(len(curve.epochs) == 1 for curve in curves) else ""
    for curve in curves:
        points = [(epoch.epoch, y) for epoch in curve.epochs if (y := value(epoch)) is not None]
        for x, y in points:
            by_epoch.setdefault(x, []).append(y)
        axes.plot(
            [x for x, _ in points], [y for _, y in points],
            color=colour, linewidth=0.8, alpha=0.35, marker=marker, markersize=4,
        )  # fmt: skip
    if not by_epoch:
        axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center", va="center", color=FAINT, fontsize=9)
        return
    mean = sorted((x, float(np.mean(ys))) for x, ys in by_epoch.items())
    axes.plot([x for x, _ in mean], [y for _, y in mean], color=colour, linewidth=2.2, marker=marker, markersize=7)
    last_x, last_y = mean[-1]
    axes.annotate(
        f"{last_y:.{3 if last_y < 10 else 1}f}", (last_x, last_y), xytext=(4, 0), textcoords="offset points",
        fontsize=8, color=INK, va="center", annotation_clip=False,
    )  # fmt: skip


def _epochs(axes: Axes, curves: Sequence[Curve]) -> None:
    """Whole epochs on the horizontal axis, from the first to the last."""
    last = max((epoch.epoch for curve in curves for epoch in curve.epochs), default=1)
    axes.set_xlim(*((1, last) if last > 1 else (0, 2)))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))


def _focus(panels: Sequence[Axes], curves: Sequence[Curve]) -> None:
    """Per cent axes from the lowest value after the first quarter of the epochs: the end is what matters."""
    last = max((epoch.epoch for curve in curves for epoch in curve.epochs), default=1)
    lines = [line.get_xydata() for axes in panels for line in axes.lines]
    late = [float(y) for line in lines for x, y in np.asarray(line) if x > last / 4]
    if late:
        low, high = min(late), max(late)
        room = max(1.0, 0.06 * (high - low))
        for axes in panels:
            axes.set_ylim(max(0.0, low - room) if low > 0 else -room, min(100.0, high) + room)


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
