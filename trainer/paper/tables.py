"""What repeating each table of the paper takes: its rows, each a cross-validation, and what has to be said of them."""

from dataclasses import dataclass
from typing import Final

from trainer.models.catalogue import MODELS
from trainer.older.families import FAMILIES


#: Shares of the small set's training parts that the learning curve is drawn at, beside the whole.
SHARES: Final = (0.05, 0.1, 0.2, 0.5)


@dataclass(frozen=True)
class Row:
    """One cross-validation. `name` is its folder and what `--row` calls it.

    `on_target`: on the small set. `further`: from the network of the large set instead of random weights. `share` of
    each training part is trained on. `beside` names the row that it is compared with, cell by cell.
    """

    name: str
    title: str
    model: str
    recipe: str
    on_target: bool = False
    further: bool = False
    share: float = 1.0
    beside: str | None = None


@dataclass(frozen=True)
class Table:
    """`folds` are those of the paper, or as many as the small set's groups can be divided into."""

    number: int
    title: str
    folds: int
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    @property
    def on_target(self) -> bool:
        """Whether it needs a small set."""
        return any(row.on_target for row in self.rows)


def _older() -> tuple[Row, ...]:
    families = tuple(Row(name, MODELS[name].title, name, "usual", beside="wnet") for name in FAMILIES)
    return (Row("wnet", "W-Net, recipe best", "wnet", "best"), *families)


def _curve() -> tuple[Row, ...]:
    """From scratch and further, at each share of the small set."""
    rows: list[Row] = []
    for share in SHARES:
        percent = f"{100 * share:02.0f}"
        scratch = f"scratch-{percent}"
        rows += [
            Row(scratch, f"from scratch, {100 * share:g} % of the cells", "wnet", "small", on_target=True, share=share),
            Row(f"further-{percent}", f"trained further, {100 * share:g} % of the cells", "wnet", "small",
                on_target=True, further=True, share=share, beside=scratch),
        ]  # fmt: skip
    return tuple(rows)


_OLDER_NOTES: Final = (
    (
        "The families see 249 numbers a picture: colour, texture and shape of the whole picture. The nucleus is not"
        " segmented, which older work did first; that step is not repeated here."
    ),
    (
        "Their settings were fixed beforehand and not searched for, while W-Net's recipe was chosen among several, on"
        " inner parts of pbc's folds. A search might raise the families' figures."
    ),
    (
        "Where nobody knows the patients, pictures of one patient may be on both sides of a split. Whatever the camera"
        " and the stain of a day leave in a picture's colour is then an answer that these features read well."
    ),
)
_RESNET_NOTES: Final = (
    (
        "The paper's settings: momentum 0.9, rate 0.001 throughout, decay 1e-4 (taken as weight decay), batch 32, 50"
        " epochs, 224 x 224 pixels made from the same window as W-Net's 128. Not given in what this project has of the"
        " paper: the initial weights (here random), the momentum of batch normalisation's running statistics (here"
        " 0.01), augmentation (here none), how a picture is standardised (here as for W-Net)."
    ),
    (
        'A row "statistics recomputed" has the very weights of the row above it; only mean and variance in batch'
        " normalisation were taken anew over the training part."
    ),
)
_GROUPED: Final = (
    (
        "Cells of one slide or patient, where these are known, are never on both sides of a split; so the folds differ"
        " in size and in difficulty, more than chance alone would have it."
    ),
    "The paper's figures are of LISC, which may not be redistributed; where the small set is another one, they differ.",
)
_CURVE_NOTE: Final = (
    "Every network of the learning curve takes as many steps, whatever the share of the cells: fewer cells are seen"
    " more often. Each share was drawn once, over all groups of a training part, and a smaller one lies in each larger;"
    " how many cells a figure takes is read off the line between two points, and is as uncertain as they are."
)

TABLES: Final = {
    table.number: table
    for table in (
        Table(
            1, "the older families", 10, _older(),
            _OLDER_NOTES,
        ),
        Table(2, "cells by type", 0, (), ()),
        Table(
            3, "W-Net, cross-validated", 10,
            (
                Row("paper", "W-Net, the paper's recipe", "wnet", "paper"),
                Row("best", "W-Net, recipe best", "wnet", "best", beside="paper"),
            ),
            (),
        ),
        Table(
            4, "ResNet50", 10,
            (
                Row("paper", "ResNet50, the paper's settings", "resnet50", "paper"),
                Row("healthy", "ResNet50, a healthy run", "resnet50", "healthy", beside="paper"),
                Row("group-norm", "ResNet50 with group normalisation", "resnet50-gn", "healthy", beside="healthy"),
            ),
            _RESNET_NOTES,
        ),
        Table(
            5, "W-Net from scratch on the small set", 5,
            (
                Row("paper", "W-Net, the paper's recipe, from scratch", "wnet", "paper-small", on_target=True),
                Row("best", "W-Net, recipe best, from scratch", "wnet", "small", on_target=True, beside="paper"),
            ),
            _GROUPED,
        ),
        Table(
            6, "W-Net trained on the large set, then further on the small one", 5,
            (
                Row("paper-scratch", "the paper's recipe, from scratch", "wnet", "paper-small", on_target=True),
                Row("paper-further", "the paper's recipe, trained further", "wnet", "paper-small",
                    on_target=True, further=True, beside="paper-scratch"),
                Row("scratch", "recipe best, from scratch", "wnet", "small", on_target=True),
                Row("further", "recipe best, trained further", "wnet", "small",
                    on_target=True, further=True, beside="scratch"),
                *_curve(),
            ),
            (*_GROUPED, _CURVE_NOTE),
        ),
    )
}  # fmt: skip
