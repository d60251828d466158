"""One table as a person asked for it, and the cross-validations that it comes to."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from smear.bundle import Bundle
from smear.files import real
from smear.geometry import Profile
from smear.labelled import LabelledCell, data_sha256, load_pixels, read_folder
from trainer import recipes
from trainer.cv.plan import Order
from trainer.models.catalogue import MODELS
from trainer.paper.tables import Row, Table
from trainer.produce import BadOrder
from trainer.recipes import BEST, Recipe
from trainer.resnet_fit import ResNetRecipe
from trainer.run_folder import RunInfo, open_run


#: What `--epochs` calls the training of the network that Table 6 starts from.
LARGE: Final = "large"
#: For rows that are not named.
ALL: Final = ""
#: Of a number of epochs.
_DIGITS: Final = 6
#: Data folders as they were read.
Folders = dict[Path, list[LabelledCell]]


@dataclass(frozen=True)
class PaperOrder:
    """`folds` and `epochs` (by row, "" for all) shorten; `chosen` rows, all where empty; `have` are finished runs.

    `init` is the network that is trained further, where it is there already. `bfloat16`: the rows of ResNet50 that
    are computed in it. Folders and the rest as in `trainer cv`.
    """

    table: Table
    out: Path
    data: Path
    geometry: Profile
    target: Path | None = None
    target_geometry: Profile | None = None
    folds: int | None = None
    epochs: Mapping[str, int] = field(default_factory=dict)
    chosen: tuple[str, ...] = ()
    have: tuple[Path, ...] = ()
    init: Bundle | None = None
    seed: int = 0
    device: str = "cpu"
    skip_unusable: bool = False
    bfloat16: tuple[str, ...] = ()
    command: str = "trainer paper"

    @property
    def rows(self) -> tuple[Row, ...]:
        """Those that are to be run, in the table's order."""
        return tuple(row for row in self.table.rows if not self.chosen or row.name in self.chosen)

    @property
    def data_name(self) -> str:
        """Of the folder that the rows are cross-validated on."""
        used = self.target if self.table.on_target and self.target else self.data
        return real(used).name

    def large_recipe(self) -> Recipe:
        """How the network of the large set is trained."""
        epochs = self.epochs.get(LARGE, self.epochs.get(ALL))
        found = recipes.recipe(BEST.name)
        return found if epochs is None else Recipe(**(vars(found) | {"epochs": epochs}))

    def cross_validation(self, row: Row, init: Bundle | None) -> Order:
        """A row's order; `init` is the network of the large set, for rows that are trained further."""
        model = MODELS[row.model]
        data, geometry = self.data, self.geometry
        if row.on_target:
            assert self.target is not None
            assert self.target_geometry is not None
            data, geometry = self.target, self.target_geometry
        epochs = self.epochs.get(row.name)
        if epochs is None and model.known[row.recipe].epochs > 1:
            epochs = self.epochs.get(ALL)
        recipe = model.recipe(row.recipe, epochs)
        if isinstance(recipe, ResNetRecipe):
            recipe = replace(recipe, bfloat16=row.name in self.bfloat16)
        return Order(
            self.out / row.name, data, geometry, recipe, self.folds or self.table.folds,
            self.seed, init if row.further else None, self.device, skip_unusable=self.skip_unusable,
            command=self.command, model=model, share=row.share,
        )  # fmt: skip


def epochs_by_row(given: Sequence[str], table: Table) -> dict[str, int]:
    """`["5", "paper=400"]` -> {"": 5, "paper": 400}; raises BadOrder."""
    names = [row.name for row in table.rows] + [LARGE] * any(row.further for row in table.rows)
    found = {}
    for word in given:
        name, equals, number = word.rpartition("=")
        if equals and name not in names:
            raise BadOrder(f"no row {name!r} in table {table.number}; there are: {', '.join(names) or 'none'}")
        if not number.isdecimal() or len(number) > _DIGITS or int(number) < 1:
            raise BadOrder(f"--epochs {word[:40]}: a number of epochs, or ROW=NUMBER")
        found[name] = int(number)
    return found


def check(order: PaperOrder) -> None:
    """Raise BadOrder for what cannot be done, or would do nothing; BadDataFolder."""
    names = [row.name for row in order.table.rows]
    for name in (*order.chosen, *order.bfloat16):
        if name not in names:
            raise BadOrder(f"no row {name!r} in table {order.table.number}; there are: {', '.join(names) or 'none'}")
    if order.table.on_target and order.target is None:
        raise BadOrder(f"table {order.table.number} needs a small set: --target DIR")
    if order.target is not None and not order.table.on_target and order.table.rows:
        raise BadOrder(f"table {order.table.number} uses no small set: leave --target out")
    if not order.table.rows and (order.folds or order.epochs or order.have):
        raise BadOrder(f"table {order.table.number} trains nothing: leave --folds, --epochs and --have out")
    if order.init is not None and not any(row.further for row in order.table.rows):
        raise BadOrder(f"table {order.table.number} trains nothing further: leave --init out")
    if order.init is not None and LARGE in order.epochs:
        raise BadOrder(f"--init gives the network that --epochs {LARGE}= would train: leave one of them out")
    for row in order.table.rows:
        if row.name in order.bfloat16 and not isinstance(MODELS[row.model].recipe(), ResNetRecipe):
            raise BadOrder(f"--bfloat16 {row.name}: only ResNet50 can be computed so")


def standing_in(order: PaperOrder, orders: Mapping[str, Order]) -> dict[str, Path]:
    """Row -> the finished run that stands for it; raises BadOrder for a run that stands for none, UnfinishedRun."""
    found: dict[str, Path] = {}
    folders: Folders = {}
    for run in order.have:
        info = open_run(run).info
        all_other = {name: differing(info, wanted, folders) for name, wanted in orders.items()}
        if same := [name for name, other in all_other.items() if not other]:
            if same[0] in found:
                raise BadOrder(f"{run} and {found[same[0]]} are runs of one row, {same[0]}: name one of them")
            found[same[0]] = run
        elif row := _left_out(order, info, folders):
            raise BadOrder(f"{run} is the row {row}, which --row leaves out: add --row {row}")
        else:
            closest = min(all_other.values(), key=lambda other: ("model" in other, "recipe" in other, len(other)))
            raise BadOrder(
                f"{run} stands for no row of this table: it differs in {', '.join(closest)} from the row that is"
                " nearest"
            )
    return found


def _left_out(order: PaperOrder, info: RunInfo, folders: Folders) -> str | None:
    """The row of the table that a finished run is of, though none of the rows that were chosen."""
    for row in order.table.rows:
        if row in order.rows:
            continue
        other = differing(info, order.cross_validation(row, order.init), folders)
        # The network that they start from is not trained where none of the chosen rows asks for it.
        if not other or (other == ["start"] and row.further and order.init is None):
            return row.name
    return None


def differing(info: RunInfo, wanted: Order, folders: Folders) -> list[str]:
    """What is not the same about a finished run and an order; `folders` keeps what was read of data folders."""
    ours: dict[str, Any] = {
        "model": wanted.model.name, "recipe": wanted.recipe.name, "seed": wanted.seed, "folds": wanted.folds,
        "share": wanted.share, "data": data_sha256(_usable(info, wanted, folders)), "geometry": wanted.geometry.name,
        "start": wanted.init.bundle_id if wanted.init else None, "variant": None, "tune": False,
    }  # fmt: skip
    theirs: dict[str, Any] = {
        "model": info.model, "recipe": info.recipe, "seed": info.seed, "folds": info.folds, "share": info.share,
        "data": info.data_sha256, "geometry": info.geometry, "start": info.init, "variant": info.variant,
        "tune": info.tune,
    }  # fmt: skip
    other = [name for name, value in ours.items() if theirs[name] != value]
    if "model" not in other and "recipe" not in other:
        try:
            settings = asdict(wanted.model.saved(info.recipe_settings))
        except ValidationError:
            return [*other, "recipe settings"]
        other += [key for key, value in asdict(wanted.recipe).items() if settings[key] != value]
    return other


def _usable(info: RunInfo, wanted: Order, folders: Folders) -> list[LabelledCell]:
    """The order's cells without those that the run could not use, if they still cannot be used and may be left out."""
    if wanted.data not in folders:
        folders[wanted.data] = read_folder(wanted.data)
    cells = folders[wanted.data]
    refused = {picture.file for picture in info.refused} if wanted.skip_unusable else set()
    suspects = [cell for cell in cells if cell.shown in refused]
    unusable = {cell.path for cell, _ in load_pixels(suspects, wanted.geometry).refused} if suspects else set()
    return [cell for cell in cells if cell.path not in unusable]
