"""Fitting what turns logits into decisions: the temperature, and the threshold above which a cell counts as outside."""

from typing import Final

import numpy as np

from smear.decision import Calibration, OutsideDetector, OutsideScore, outside_scores
from trainer.scores import Floats, Labels


#: The share of true cells of the five that the detector may call outside.
FALSE_ALARMS: Final = 0.005
#: Both scores separate alike, this one finds more at the threshold; LOG.md has the figures.
CHOSEN_SCORE: Final[OutsideScore] = "energy"
#: Beyond these a temperature says that the split was too small or too easy to fit one.
_TEMPERATURES: Final = (0.2, 5.0)


def negative_log_likelihood(logits: Floats, labels: Labels, temperature: float, doubt: float = 0.0) -> float:
    """Mean over N cells, in nats, of logits (N, 5) divided by the temperature.

    `doubt` is how much of each label is spread over the other types.
    """
    scaled = logits.astype(np.float64) / temperature
    own = scaled[np.arange(len(labels)), labels]
    told = (1 - doubt) * own + doubt * (scaled.sum(axis=1) - own) / (scaled.shape[1] - 1)
    return float((np.logaddexp.reduce(scaled, axis=1) - told).mean())


def fit_temperature(logits: Floats, labels: Labels) -> float:
    """The temperature, 0.2 to 5, with the least negative log-likelihood (Guo et al., 2017), to three digits.

    Each label is doubted by 1 / (N + 2), as in Platt's scaling: few cells without a mistake do not make it certain.
    """
    # A third of a second to import, which who calibrates nothing need not wait for.
    from scipy.optimize import minimize_scalar  # noqa: PLC0415

    low, high = np.log(_TEMPERATURES)
    best = minimize_scalar(
        lambda log_t: negative_log_likelihood(logits, labels, float(np.exp(log_t)), 1 / (len(labels) + 2)),
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-5},
    )
    return round(float(np.exp(best.x)), 3)


def calibrate(logits: Floats, labels: Labels, score: OutsideScore = CHOSEN_SCORE) -> Calibration:
    """Calibration from cells of the five, (N, 5) logits and (N,) labels, that the network did not train on.

    The threshold is the score that 0.5 % of these cells reach. ValueError for fewer than one cell.
    """
    if len(labels) == 0:
        raise ValueError("no cells to calibrate on")
    temperature = fit_temperature(logits, labels)
    scores = outside_scores(logits, temperature, score).astype(np.float64)
    threshold = float(np.quantile(scores, 1 - FALSE_ALARMS))
    return Calibration(temperature=temperature, outside=OutsideDetector(score=score, threshold=threshold))
