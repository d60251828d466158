"""MODEL_CARD.md: what a bundle is, what it was trained on, how good it is, what it is not for."""

from dataclasses import dataclass
from typing import Any

from smear.cells import CELL_TYPES
from smear.decision import Calibration
from smear.differential import exact_limits


#: Data sets whose licence asks for attribution wherever a model made from them is passed on.
_SOURCES = {
    "pbc": (
        'Acevedo A, Merino A, Alférez S, Molina Á, Boldú L, Rodellar J. "A dataset of microscopic peripheral blood cell'
        ' images for development of automatic recognition systems." Data in Brief 30 (2020) 105474, data'
        " doi 10.17632/snkd93bnjr.1, CC BY 4.0; CellaVision DM96, 360 x 363 pixels. A selection shaped like the W-Net"
        " paper's Table 2. No patient is known, so pictures of one patient may be on both sides of the split."
    )
}


@dataclass(frozen=True)
class Facts:
    """What the card tells. `scores` by part, as they stand in the manifest."""

    name: str
    data_name: str
    trained_on: dict[str, int]
    inner: int
    excluded: int
    geometry: str
    command: str
    calibration: Calibration
    scores: dict[str, Any]
    parent: str | None
    shortened: str | None


_PARTS = {
    "inner": "inner split (fitted temperature and threshold)",
    "holdout": "hold-out, as shipped (128 px)",
    "holdout_originals": "hold-out, original pictures",
    "holdout_out_of_focus": "hold-out as shipped, blurred (Gaussian, sigma 1.5 px)",
    "elsewhere": "another laboratory",
}


_TITLE = """# {name}

W-Net (Jung et al., 2019; 16,806,949 parameters) for the five white-cell types.
**For research use only: not a medical device, not for diagnosis.**"""

_OUTSIDE = """## Cells outside the five

A cell counts as outside when its {score} score is at least {threshold:.4f}, the 99.5th percentile over the inner split
(temperature {temperature}). """

_OUTSIDE_MEASURED = """Measured on {images} cells from outside (area under the receiver operating characteristic
against the inner split: {auroc}):

{table}

Whatever is not called outside is given one of the five types. Do not rely on this detector to find immature cells;
what is not in the table was not measured at all."""

_LIMITS = """## Limits

- The network knows the camera, the stain and the laboratory it was trained on. Pictures of any other must be measured
  before anything is believed.{elsewhere}
- Probabilities are calibrated for the training set's mix of types, not for blood's.
{rare}"""


def card(facts: Facts) -> str:
    """The card's text, Markdown."""
    sections = [
        _TITLE.format(name=facts.name),
        _data(facts),
        _scores(facts.scores),
        _outside(facts),
        _limits(facts),
        f"## Made by\n\n    {facts.command}",
    ]
    return "\n\n".join(sections) + "\n"


def _data(facts: Facts) -> str:
    total = sum(facts.trained_on.values())
    by_type = ", ".join(f"{name} {n}" for name, n in facts.trained_on.items())
    short = f" Trained for {facts.shortened}." if facts.shortened else ""
    start = "random weights" if facts.parent is None else f"the bundle {facts.parent}"
    return (
        f"## Data\n\nTrained on {total} pictures of the set `{facts.data_name}` ({by_type}), geometry profile"
        f" `{facts.geometry}`, from {start}. Apart from these, {facts.inner} pictures (the inner split) fitted the"
        f" temperature and the outside threshold, and {facts.excluded} pictures of the set were left out because they"
        " belong to the shipped hold-out or the sample slides."
        f"{short}\n\n"
        f"Source: {_SOURCES.get(facts.data_name, 'as its owner describes it.')}"
    )


def _scores(scores: dict[str, Any]) -> str:
    head = "| Part | pictures | class average | accuracy | " + " | ".join(CELL_TYPES) + " | ECE | called outside |"
    rows = [head, "|---" * (len(CELL_TYPES) + 6) + "|"]
    for part, title in _PARTS.items():
        if part in scores:
            s = scores[part]
            recall = " | ".join(_percent(s["recall"][t]) for t in CELL_TYPES)
            named = f"{title}: `{s['data']}`, profile `{s['geometry']}`" if "data" in s else title
            rows.append(
                f"| {named} | {s['images']} | {_percent(s['class_average'])} | {_percent(s['accuracy'])} | {recall}"
                f" | {s['ece']:.3f} | {_percent(s['called_outside'])} |"
            )
    text = "## Scores\n\nRecall by type in per cent, by the ONNX file itself. One run, one seed.\n\n" + "\n".join(rows)
    return text + _cross_validation(scores.get("cross_validation"))


def _cross_validation(told: dict[str, Any] | None) -> str:
    if told is None:
        return ""
    pooled, single = told["pooled"], told["pooled"]["single_view"]
    low, high = pooled["ci95"]["class_average"]
    recall = ", ".join(f"{t} {_percent(pooled['recall'][t])}" for t in CELL_TYPES)
    return (
        f"\n\nCross-validation of the same recipe, {told['folds']} folds of {told['images']} pictures of"
        f" `{told['data']}`, {told['epochs']} epochs each, every cell judged by a network that had not seen it: class"
        f" average {_percent(pooled['class_average'])} % (95 % limits {_percent(low)} to {_percent(high)}), mean of"
        f" {told['views']} views ({recall}); {_percent(single['class_average'])} % on each picture as it is, which is"
        " how a worker asks."
    )


def _outside(facts: Facts) -> str:
    detector = facts.calibration.outside
    text = _OUTSIDE.format(
        score=detector.score, threshold=detector.threshold, temperature=facts.calibration.temperature
    )
    found = facts.scores.get("outside")
    if found is None:
        return f"{text}How many cells from outside the five it finds was not measured."
    lines = "".join(f"\n| {kind} | {_percent(share)} % |" for kind, share in found["recall"].items())
    return text + _OUTSIDE_MEASURED.format(
        images=found["images"],
        auroc=", ".join(f"{name} {value:.3f}" for name, value in found["auroc"].items()),
        table=f"| Kind | called outside |\n|---|---|{lines}",
    )


def _limits(facts: Facts) -> str:
    average = ""
    if seen := facts.scores.get("elsewhere"):
        share = _percent(seen["class_average"])
        average = f"\n  On `{seen['data']}`, from another laboratory, the class average is {share} %."
    return _LIMITS.format(elsewhere=average, rare="\n".join(_rare(facts.scores)))


def _rare(scores: dict[str, Any]) -> list[str]:
    """What the hold-out leaves open of its smallest type, and what blur does to it, where these were measured."""
    lines = []
    if held := scores.get("holdout_originals") or scores.get("holdout"):
        # A data folder may hold the originals of some types of the hold-out alone.
        row, name = min((sum(row), t) for row, t in zip(held["confusion"], CELL_TYPES, strict=True) if any(row))
        right = held["confusion"][CELL_TYPES.index(name)][CELL_TYPES.index(name)]
        low, high = exact_limits(right, row)
        lines.append(
            f"- Rare types are few in the hold-out: {right} of {row} {name}s right leaves {low:.0f} to {high:.1f} %"
            " possible (95 % limits)."
        )
        if blurred := scores.get("holdout_out_of_focus"):
            lost = blurred["recall"][name]
            lines.append(f"- On blurred pictures the recall of {name}s is {_percent(lost)} %: see the table above.")
    return lines


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.1f}"
