"""What a cross-validation is to do: its order, its cells, and which of them each fold is trained and scored on."""

import hashlib
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from smear.bundle import Bundle
from smear.cells import CELL_TYPES
from smear.files import real
from smear.geometry import Profile, profile
from smear.labelled import BadDataFolder, LabelledCell, Pixels, data_sha256, load_pixels, read_folder
from trainer import provenance
from trainer.cv.assign import Assignment, assign
from trainer.draw import by_content, put_aside
from trainer.export import weights_from_bundle
from trainer.fit import Weights
from trainer.learning import Inputs, Settings
from trainer.models.catalogue import WNET
from trainer.models.face import Model
from trainer.run_folder import FORMAT
from trainer.training_set import Progress, refuse_unusable, withheld


#: So many folds `tune` needs.
LEAST_TUNED: Final = 4
#: With `tune`: the folds that are trained, and for each the fold that it is scored on, a part of its training part.
_TUNED_ON: Final = {0: 2, 1: 3}

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Order:
    """One cross-validation as a person asked for it.

    `tune` is for choosing a recipe: fold 0 is trained without fold 2 and scored on it, fold 1 without fold 3, their
    own test cells, the shipped hold-out and the samples are left alone. `elsewhere` is another laboratory's data folder
    of cut cells, to test every network on. `skip_unusable` goes on without pictures that cannot be used. With a `share`
    below 1 each fold trains on that share of its training part alone, in as many steps as on all of it.
    """

    out: Path
    data: Path
    geometry: Profile
    recipe: Settings
    folds: int = 10
    seed: int = 0
    init: Bundle | None = None
    device: str = "cpu"
    tune: bool = False
    elsewhere: Path | None = None
    skip_unusable: bool = False
    command: str = "trainer cv"
    model: Model = WNET
    share: float = 1.0


@dataclass(frozen=True)
class Plan:
    """The order with its data: the cells in memory, their folds, and what `run.json` says."""

    order: Order
    pixels: Pixels
    assignment: Assignment
    elsewhere: Pixels | None
    init: Weights | None
    run: dict[str, Any]

    @property
    def folds(self) -> list[int]:
        """Numbers of the folds to be trained."""
        return list(_TUNED_ON) if self.order.tune else list(range(self.order.folds))

    def test_rows(self, fold: int) -> Rows:
        """Rows of the cells that fold `fold` is scored on."""
        return np.flatnonzero(self.assignment.fold == (_TUNED_ON[fold] if self.order.tune else fold))

    def fold_rows(self, fold: int) -> tuple[Rows, Rows, Rows]:
        """(train, inner, test): rows to train on, to calibrate on, to be scored on."""
        test = self.test_rows(fold)
        rest = np.setdiff1d(np.flatnonzero(self.assignment.fold != fold), test)
        share = self.order.recipe.inner_share
        if not share:
            return self._shared(rest), rest[:0], test
        cells = [replace(self.pixels.cells[i], group=str(self.assignment.group[i])) for i in rest]
        aside = {cell.path for cell in put_aside(cells, share)[1]}
        inner = np.array([cell.path in aside for cell in cells])
        return self._shared(rest[~inner]), rest[inner], test

    def inputs(self) -> Inputs:
        """What the model takes of the cells, in the order of their rows."""
        return self.order.model.inputs(self.pixels, self.order.geometry)

    def _shared(self, rows: Rows) -> Rows:
        """The order's share of each type, at least one, again and again until there are as many rows as before.

        Rows are in the order of their contents, so a smaller share is a part of every larger one.
        """
        if self.order.share == 1:
            return rows
        labels = self.pixels.labels[rows]
        kept = [rows[labels == i] for i in range(len(CELL_TYPES))]
        kept = [own[: max(1, round(self.order.share * len(own)))] for own in kept]
        return np.resize(np.sort(np.concatenate(kept)), len(rows))


def make(order: Order, progress: Progress = iter) -> Plan:
    """Read, decode and divide the data; raises BadDataFolder where it cannot be cross-validated."""
    # In the order of their contents: what the files are called decides nothing.
    cells = by_content(read_folder(order.data))
    if order.tune:
        kept_away = withheld()
        cells = [cell for cell in cells if cell.sha256 not in kept_away.holdout | kept_away.samples]
    if order.recipe.pictures_per_type is not None:
        cells = _thinned(cells, order.recipe.pictures_per_type)
    pixels = load_pixels(cells, order.geometry, progress)
    refuse_unusable(pixels, order.data, order.skip_unusable)
    elsewhere = None
    if order.elsewhere is not None:
        elsewhere = load_pixels(read_folder(order.elsewhere), profile("whole"), side_px=order.model.side_px)
        refuse_unusable(elsewhere, order.elsewhere, order.skip_unusable)
    assignment = assign(pixels, order.folds, order.seed)
    init = weights_from_bundle(order.init) if order.init else None
    plan = Plan(order, pixels, assignment, elsewhere, init, _run(order, pixels, assignment, elsewhere))
    _refuse_missing_types(plan)
    return plan


def _refuse_missing_types(plan: Plan) -> None:
    for fold in plan.folds:
        train, inner, test = (plan.pixels.labels[rows] for rows in plan.fold_rows(fold))
        for index, cell_type in enumerate(CELL_TYPES):
            for part, labels in (("train on", train), ("calibrate on", inner), ("be scored on", test)):
                if (len(labels) or labels is not inner) and not (labels == index).any():
                    raise BadDataFolder(
                        f"too few pictures (or groups of pictures) of type {cell_type}: fold {fold} has none to {part}"
                    )


def _run(order: Order, pixels: Pixels, assignment: Assignment, elsewhere: Pixels | None) -> dict[str, Any]:
    given, model = order.recipe, order.model
    counts = np.bincount(pixels.labels, minlength=len(CELL_TYPES))
    return {
        "format": FORMAT,
        "model": model.name,
        "parameters": model.parameters,
        "recipe": given.name,
        "recipe_settings": asdict(given),
        "shortened": model.shortened(given),
        "seed": order.seed,
        "folds": order.folds,
        "tune": order.tune,
        "images": len(pixels.cells),
        "data": real(order.data).name,
        "data_sha256": data_sha256(pixels.cells),
        "assignment_sha256": _sha256_of(pixels, assignment),
        "elsewhere": real(order.elsewhere).name if order.elsewhere else None,
        "elsewhere_sha256": data_sha256(elsewhere.cells) if elsewhere else None,
        "geometry": order.geometry.name,
        "init": order.init.bundle_id if order.init else None,
        "views": given.views,
        "counts": {t: int(n) for t, n in zip(CELL_TYPES, counts, strict=True)},
        "grouping": assignment.as_json(),
        "refused": [{"file": cell.shown, "reason": reason} for cell, reason in pixels.refused],
        "versions": provenance.versions(),
        "commit": provenance.commit(),
        "host": provenance.host(order.device),
        "command": order.command,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    } | ({} if order.share == 1 else {"share": order.share})


def _sha256_of(pixels: Pixels, assignment: Assignment) -> str:
    """Identity of the division: which content is tested by which fold, and what is kept together."""
    rows = zip(pixels.cells, assignment.fold, assignment.group, strict=True)
    lines = sorted(f"{cell.sha256} {fold} {group}\n" for cell, fold, group in rows)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _thinned(cells: list[LabelledCell], per_type: int) -> list[LabelledCell]:
    kept = {cell.path for t in CELL_TYPES for cell in by_content(c for c in cells if c.cell_type == t)[:per_type]}
    return [cell for cell in cells if cell.path in kept]
