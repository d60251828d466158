"""The gate: what a challenger must keep to beside the champion, each rule with its numbers, its limits, its verdict."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.stats import binom, fisher_exact

from smear.cells import CELL_TYPES
from smear.decision import Calibration, decide, softmax
from smear.differential import exact_limits
from smear.paired import LEVEL, TOLD_LOSS, paired
from trainer.resample import Interval, interval, resample
from trainer.scores import Floats, Labels, expected_calibration_error, score


#: Points of a type's recall, and of the first bundle's class average on the shipped hold-out, that may be lost.
RECALL_MARGIN: Final = 0.01
ANCHOR_MARGIN: Final = 0.005
#: Nats of negative log-likelihood and points of calibration error that are within what a split of this size tells.
NLL_MARGIN: Final = 0.02
#: How much surer a challenger may be of cells that it has no type for.
OUTSIDE_MARGIN: Final = 0.05
#: A label is surely contradicted where a network that has learned it whole gives it less than this; and no larger a
#: share of the night's labels may be. Chosen on four clean nights and four with a fifth wrong (LOG.md): calibration
#: alone bounds the share only at four times as much, once for each other type.
CONTRADICTED: Final = 0.05
#: New and earlier labels may differ by so much in how often they are contradicted, either way, for cells that look
#: alike; and the level at which it is no chance: small, since each night puts ten such questions.
UNLIKE_EARLIER: Final = 0.1
UNLIKE_LEVEL: Final = 0.0005
#: How the names of the rules on labels begin.
ON_LABELS: Final = "labels"
#: The share of throughput that may be lost.
SLOWER: Final = 0.10
#: Times that cells are drawn anew for an interval.
_DRAWS: Final = 2000


@dataclass(frozen=True)
class Part:
    """N labelled cells as both networks see them: labels (N,), logits (N, 5) of each, groups that belong together."""

    name: str
    labels: Labels
    champion: Floats
    challenger: Floats
    groups: Sequence[str | None]


@dataclass(frozen=True)
class Verdict:
    """One rule: its numbers, whether it was kept, and a sentence."""

    rule: str
    kept: bool
    sentence: str
    told: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """For the scorecard."""
        return {"rule": self.rule, "kept": self.kept, "sentence": self.sentence} | self.told


def recall_rules(part: Part) -> Iterator[Verdict]:
    """No type's recall worse by more than a point, by a one-sided paired test."""
    right = _right(part)
    for index, name in enumerate(CELL_TYPES):
        own = part.labels == index
        if not own.any():
            yield Verdict(f"recall of {name}s, {part.name}", True, f"no {name} in the {part.name}", {"cells": 0})
            continue
        pair = paired(right[own, 0], right[own, 1])
        p, power = pair.p_worse(RECALL_MARGIN), pair.power(RECALL_MARGIN)
        before, after = (float(right[own, column].mean()) for column in (0, 1))
        low, high = pair.limits()
        kept = p >= LEVEL
        sentence = (
            f"{name}s of the {part.name}: {_pc(before)} % to {_pc(after)} % of {pair.n}"
            + ("" if kept else f", which is more than {100 * RECALL_MARGIN:g} point worse (p {p:.3f})")
            + f"; a loss of {100 * TOLD_LOSS:g} points would be found with probability {power:.2f}"
        )
        yield Verdict(
            f"recall of {name}s, {part.name}", kept, sentence,
            {"cells": pair.n, "champion": before, "challenger": after, "lost": pair.lost, "won": pair.won,
             "difference": [0.0 - pair.loss, -high, -low], "p": p, "power": power},
        )  # fmt: skip


def better(part: Part) -> Verdict:
    """The class average of the laboratory's hold-out must rise."""
    change, before, after = _class_average(part)
    kept = change.value > 0
    sentence = f"class average of the {part.name}: {_pc(before)} % to {_pc(after)} %" + (
        "" if kept else ", which is not better"
    )
    told = {"cells": len(part.labels), "champion": before, "challenger": after, "difference": _triple(change)}
    return Verdict(f"class average, {part.name}", kept, sentence, told)


def anchored(part: Part, first: Floats) -> Verdict:
    """The shipped hold-out's class average stays within half a point of what the first of the line had.

    `first` (N, 5): that bundle's logits. Without it many small losses would add up over many nights.
    """
    beside_first = Part(part.name, part.labels, first, part.challenger, part.groups)
    change, before, after = _class_average(beside_first)
    kept = change.value >= -ANCHOR_MARGIN
    sentence = f"class average of the {part.name}: {_pc(after)} %, the first bundle's was {_pc(before)} %" + (
        "" if kept else f": more than {100 * ANCHOR_MARGIN:g} points lost since then"
    )
    told = {"cells": len(part.labels), "first": before, "challenger": after, "difference": _triple(change)}
    return Verdict(f"nothing forgotten, {part.name}", kept, sentence, told)


def calibrated(part: Part, champion: Calibration, challenger: Calibration) -> Verdict:
    """Probabilities are not worse: no rise of the negative log-likelihood beyond chance and a small margin."""
    old, new = softmax(part.champion, champion.temperature), softmax(part.challenger, challenger.temperature)
    each = [_losses(p, part.labels) for p in (old, new)]
    change = _mean_interval(each[1] - each[0])
    kept = not (change.low > 0 and change.value > NLL_MARGIN)
    ece = [expected_calibration_error(p, part.labels) for p in (old, new)]
    sentence = (
        f"calibration on the {part.name}: negative log-likelihood {each[0].mean():.3f} to {each[1].mean():.3f},"
        f" expected calibration error {ece[0]:.3f} to {ece[1]:.3f}" + ("" if kept else ", which is worse")
    )
    told = {
        "nll": [float(each[0].mean()), float(each[1].mean())], "ece": ece, "difference": _triple(change),
        "also": {"expected calibration error": _triple(_ece_change(old, new, part.labels))},
    }  # fmt: skip
    return Verdict(f"calibration, {part.name}", kept, sentence, told)


def outside(champion: Floats, challenger: Floats, old: Calibration, new: Calibration) -> Verdict:
    """Cells outside the five must not look more like one of them: mean confidence, and how many are called outside."""
    before, after = softmax(champion, old.temperature).max(1), softmax(challenger, new.temperature).max(1)
    change = _mean_interval(after.astype(np.float64) - before)
    kept = not (change.low > 0 and change.value > OUTSIDE_MARGIN)
    out = [decide(x, c).outside.astype(np.float64) for x, c in ((champion, old), (challenger, new))]
    called = [float(each.mean()) for each in out]
    sentence = (
        f"confidence on {len(before)} cells outside the five: {before.mean():.3f} to {after.mean():.3f}, called outside"
        f" {_pc(called[0])} % to {_pc(called[1])} %" + ("" if kept else ": it became surer of what it has no type for")
    )
    told = {
        "cells": len(before), "confidence": [float(before.mean()), float(after.mean())], "called_outside": called,
        "difference": _triple(change), "also": {"called outside": _triple(_mean_interval(out[1] - out[0]))},
    }  # fmt: skip
    return Verdict("cells outside the five", kept, sentence, told)


def consistent(labels: Labels, learned: Floats) -> Verdict:
    """The night's labels (N,) agree with each other: what learned them, calibrated logits (N, 5), doubts few.

    Wrong labels at random cannot be learned beside right ones of cells that look alike, so they stay contradicted. Few
    labels can be contradicted by chance: a one-sided binomial test.
    """
    probability = softmax(learned)
    doubted = probability[np.arange(len(labels)), labels] < CONTRADICTED
    contradicted = int((learned.argmax(axis=1) != labels).sum())
    p = float(binom.sf(int(doubted.sum()) - 1, len(labels), CONTRADICTED))
    kept = p >= LEVEL
    sentence = (
        f"of the night's {len(labels)} labels to learn from, what learned them contradicts {contradicted}, of these"
        f" {int(doubted.sum())} surely"
        + ("" if kept else f", which is more than {100 * CONTRADICTED:g} %: are they right?")
    )
    share = _mean_interval(doubted.astype(np.float64)) if len(labels) else Interval(0, 0, 0)
    told = {"cells": len(labels), "contradicted": contradicted, "share": _triple(share), "p": p}
    return Verdict(f"{ON_LABELS} that agree with each other", kept, sentence, told)


def as_before(labels: Labels, learned: Floats, new: npt.NDArray[np.bool_]) -> Verdict:
    """The night's labels agree with the earlier ones: of cells that look like a type to the network that learned both.

    Where all new cells of one type are called another, they go on looking like those that are rightly called it; each
    type is asked among what is called it by people, and among what looks like it, by Fisher's exact test. `new` (N,).
    """
    said = learned.argmax(axis=1)
    asked, differ = [], []
    for index, name in enumerate(CELL_TYPES):
        for words, alike in ((f"that look like {name}s", said == index), (f"called {name}s", labels == index)):
            cells = [int((alike & part).sum()) for part in (new, ~new)]
            if not all(cells):
                continue
            counts = [int((alike & part & (said != labels)).sum()) for part in (new, ~new)]
            rest = [n - count for count, n in zip(counts, cells, strict=True)]
            p = float(fisher_exact(np.array([counts, rest])).pvalue)
            asked.append({"cells": words, "new": [counts[0], cells[0]], "earlier": [counts[1], cells[1]], "p": p})
            if p < UNLIKE_LEVEL and abs(counts[0] / cells[0] - counts[1] / cells[1]) > UNLIKE_EARLIER:
                found = f"{counts[0]} of {cells[0]} new cells {words} are contradicted"
                differ.append(f"{found}, {counts[1]} of {cells[1]} earlier ones")
    if differ:
        sentence = "; ".join(differ) + ": were they read as before?"
    elif not asked:
        sentence = "there are no earlier labels to compare the night's with"
    else:
        counted = f"{int(new.sum())} new labels and {int((~new).sum())} earlier ones"
        sentence = f"no difference was found between {counted} in how they are contradicted"
    return Verdict(f"{ON_LABELS} as before", not differ, sentence, {"asked": asked})


def compiled(told: dict[str, Any]) -> Verdict:
    """What would serve answers as the float32 reference does."""
    reasons = [reason for form in told.get("forms", []) for reason in form["reasons"]] + told.get("reasons", [])
    names = ", ".join(form["name"] for form in told.get("forms", [])) or "no compiled form is in use here"
    kept = not reasons
    sentence = f"{told.get('engine', 'engine')}; compiled: {names}" + ("" if kept else f": {'; '.join(reasons)}")
    return Verdict("compiled form agrees", kept, sentence, {"forms": told.get("forms", [])})


def throughput(told: dict[str, Any]) -> Verdict:
    """Not more than a tenth slower than the champion, in turns on the same host.

    Judged by the best turn of each; beside it the median of the turns' shares, with its limits. Where other work seemed
    to come between, it was tried again, and the evenest of up to three tries is told. None for what was built before
    turns were told.
    """
    before, after = told["images_per_second"]["champion"], told["images_per_second"]["challenger"]
    kept = after >= (1 - SLOWER) * before
    sentence = f"{before:.0f} to {after:.0f} pictures a second on one thread" + (
        "" if kept else f", more than {100 * SLOWER:g} % slower"
    )
    return Verdict("throughput", kept, sentence, {"images_per_second": [before, after], "share": told.get("turns")})


def scores_of(part: Part, champion: Calibration, challenger: Calibration) -> dict[str, Any]:
    """Both networks' scores as `trainer evaluate --json` tells them, and the 95 % limits of each."""
    drawn = resample(part.labels, _right(part), part.groups, resamples=_DRAWS)
    both = (("champion", part.champion, champion), ("challenger", part.challenger, challenger))
    told: dict[str, Any] = {}
    for place, (name, logits, calibration) in enumerate(both):
        probabilities = softmax(logits, calibration.temperature)
        found = score(probabilities, part.labels)
        own = [(found.confusion[t][t], sum(found.confusion[t])) for t in range(len(CELL_TYPES))]
        limits = {
            "recall": {
                t: [limit / 100 for limit in exact_limits(*counts)] if counts[1] else None
                for t, counts in zip(CELL_TYPES, own, strict=True)
            },
            "class_average": _ends(interval(found.class_average, drawn.class_average[:, place])),
            "accuracy": _ends(interval(found.accuracy, drawn.accuracy[:, place])),
            "nll": _ends(_mean_interval(_losses(probabilities, part.labels))),
            "ece": _ends(interval(found.ece, _drawn_ece(probabilities, part.labels))),
        }
        told[name] = found.as_json() | {"limits": limits}
    return told


def _right(part: Part) -> npt.NDArray[np.bool_]:
    return np.stack([part.champion.argmax(1) == part.labels, part.challenger.argmax(1) == part.labels], axis=1)


def _class_average(part: Part) -> tuple[Interval, float, float]:
    right = _right(part)
    present = [part.labels == t for t in range(len(CELL_TYPES)) if (part.labels == t).any()]
    before, after = (float(np.mean([right[own, column].mean() for own in present])) for column in (0, 1))
    draws = resample(part.labels, right, part.groups, resamples=_DRAWS).class_average
    return interval(after - before, draws[:, 1] - draws[:, 0]), before, after


def _losses(probabilities: Floats, labels: Labels) -> npt.NDArray[np.float64]:
    """(N, 5), (N,) -> (N,): the negative log-likelihood of each label in nats."""
    own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return -np.log(np.maximum(own, 1e-12))


def _ece_change(old: Floats, new: Floats, labels: Labels) -> Interval:
    """By how much the calibration error rose, both drawn over the same cells."""
    value = expected_calibration_error(new, labels) - expected_calibration_error(old, labels)
    return interval(value, _drawn_ece(new, labels) - _drawn_ece(old, labels))


def _drawn_ece(probabilities: Floats, labels: Labels) -> npt.NDArray[np.float64]:
    """(_DRAWS,): the calibration error over cells drawn with replacement, the same in every call.

    An error of few cells is biased upward, and that of cells drawn from them more so: limits of a small part lie high.
    Cells are drawn one by one, also where those of a slide belong together, so there they are rather too narrow.
    """
    random = np.random.default_rng(0)
    picks = (random.integers(len(labels), size=len(labels)) for _ in range(_DRAWS))
    return np.array([expected_calibration_error(probabilities[pick], labels[pick]) for pick in picks])


def _mean_interval(values: npt.NDArray[np.float64]) -> Interval:
    picks = np.random.default_rng(0).integers(len(values), size=(_DRAWS, len(values)))
    return interval(float(values.mean()), values[picks].mean(axis=1))


def _triple(found: Interval) -> list[float]:
    return [found.value, found.low, found.high]


def _ends(found: Interval) -> list[float]:
    return [found.low, found.high]


def _pc(share: float) -> str:
    return f"{100 * share:.1f}"
