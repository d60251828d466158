"""The reliability diagram: how often cells of a given confidence are right, and how many there are of each."""

from typing import Final

import numpy as np
from matplotlib.ticker import NullLocator, StrMethodFormatter

from smear.differential import exact_limits
from trainer.report.ink import FAINT, RIGHT, WRONG, figure, plain, png
from trainer.scores import Floats, Labels


#: As in the expected calibration error of `trainer.scores`.
_BINS: Final = 15


def reliability_plot(probabilities: Floats, labels: Labels, ece: float) -> bytes:
    """(N, 5) probabilities, (N,) labels -> PNG."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    place = np.minimum((confidence * _BINS).astype(np.int64), _BINS - 1)
    drawn = figure(5.6, 5.6)
    above, below = drawn.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    above.plot([0, 100], [0, 100], color=FAINT, linewidth=1, linestyle=(0, (4, 3)))
    for number in np.unique(place):
        own = right[place == number]
        x, y = 100 * float(confidence[place == number].mean()), 100 * float(own.mean())
        low, high = exact_limits(int(own.sum()), len(own))
        above.plot([x, x], [low, high], color=RIGHT, linewidth=1.2, alpha=0.6)
        above.plot([x], [y], marker="o", markersize=6, color=RIGHT)
    above.set_xlim(0, 100.8)
    above.set_ylim(0, 102)
    plain(above, title=f"Expected calibration error {ece:.4f}", y="right (per cent)")
    above.text(
        100, 3, "points: 15 bins with exact 95 % limits\ndashed: confidence as it should be",
        fontsize=8, color=FAINT, ha="right", va="bottom",
    )  # fmt: skip
    edges = np.linspace(0, 100, _BINS + 1)
    for answers, colour, label in ((right, RIGHT, "right"), (~right, WRONG, "wrong")):
        below.hist(100 * confidence[answers], edges.tolist(), histtype="step", color=colour, linewidth=1.4, label=label)
    below.set_yscale("log")
    below.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    below.yaxis.set_minor_locator(NullLocator())
    below.set_ylim(bottom=0.8)
    plain(below, x="confidence: probability of the predicted type (per cent)", y="cells")
    below.legend(fontsize=8, frameon=False, loc="upper left", labelcolor=FAINT)
    return png(drawn)
