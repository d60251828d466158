"""Repeating a table: its rows one after the other, each gone on with where it stopped, and the report after each."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from smear import bundle
from smear.bundle import Bundle
from smear.files import real
from smear.labelled import BadDataFolder, data_sha256, read_folder
from smear.plain import PlainError
from trainer import describe, produce, terminal, training_set
from trainer.cv import command as cv
from trainer.cv import plan as planning
from trainer.cv.folder import WORK, write_json
from trainer.cv.plan import Order
from trainer.make import make
from trainer.options import prepare_torch
from trainer.paper.curve import curve_plot
from trainer.paper.markdown import markdown
from trainer.paper.order import LARGE, PaperOrder, check, differing, standing_in
from trainer.paper.page import page
from trainer.paper.told import Counted, Told, tell
from trainer.run_folder import RESULT as RUN_RESULT
from trainer.run_folder import open_run


PAGE: Final = "table.html"
MARKDOWN: Final = "table.md"
RESULT: Final = "table.json"
#: Which table the folder is of.
_ORDER: Final = "paper.json"
#: The bundle that Table 6 trains further.
_BUNDLE: Final = "wnet-large"


class OtherTable(PlainError):
    """The folder holds another table, or something else."""


def repeat(order: PaperOrder, jobs: int, console: Console) -> dict[str, Any]:
    """Do what is not done yet; the content of `table.json`.

    Raises BadOrder, OtherTable, UnfinishedRun, BrokeOff, and what `trainer cv` raises.
    """
    check(order)
    counts = _counts(order) if order.table.number == 2 else []
    _take(order)
    init = _large(order, console) if any(row.further for row in order.rows) else None
    orders = {row.name: order.cross_validation(row, init) for row in order.rows}
    for one in orders.values():
        cv.check(one, across=True)
    folders = standing_in(order, orders)
    told = _tell(order, folders, counts, init)
    for name, one in orders.items():
        if name not in folders:
            console.print(f"row {name}", highlight=False)
            _run(one, jobs, console)
            folders[name] = one.out
        told = _tell(order, folders, counts, init)
        write(order.out, told)
    write(order.out, told)
    return told.as_json()


def _counts(order: PaperOrder) -> list[Counted]:
    folders = filter(None, (order.data, order.target))
    return [Counted(real(data).name, tuple(describe.table2(read_folder(data)))) for data in folders]


def write(out: Path, told: Told) -> None:
    """The report: table.html, table.md, table.json, and the learning curve where there is one."""
    curve = curve_plot(told.curve) if told.curve else None
    if curve:
        _put(out / "curve.png", curve)
    _put(out / MARKDOWN, markdown(told).encode("utf-8", "backslashreplace"))
    _put(out / PAGE, page(told, curve).encode("utf-8", "backslashreplace"))
    write_json(out / RESULT, told.as_json())


def _tell(order: PaperOrder, folders: dict[str, Path], counts: list[Counted], start: Bundle | None) -> Told:
    return tell(
        order.table, folders, order.rows, data=order.data_name, folds=order.folds or order.table.folds,
        counts=counts, start=start, command=order.command,
    )  # fmt: skip


def _run(order: Order, jobs: int, console: Console) -> None:
    # What lies in WORK is removed last of all, after the row's own report is written.
    if not (order.out / RUN_RESULT).is_file() or (order.out / WORK).exists():
        cv.carry_out(order, jobs, console, time.monotonic())
    # A finished row is asked of its own record whether it is the one; going on with it would read every picture.
    elif other := differing(open_run(order.out).info, order, {}):
        raise OtherTable(f"{order.out} holds a finished run with other {', '.join(other)}; choose another --out")


def _take(order: PaperOrder) -> None:
    """Make the folder this table's, before anything costly; raises OtherTable, BadDataFolder."""
    out, path = order.out, order.out / _ORDER
    for data in filter(None, (order.data, order.target)):
        if not data.is_dir():
            raise BadDataFolder(f"no data folder at {data}")
        if real(out).is_relative_to(real(data)):
            raise produce.BadOrder(f"{out} lies in the data folder {data}, which is only read; choose another folder")
    if out.exists() and not out.is_dir():
        raise OtherTable(f"{out} is no folder")
    if path.is_file():
        try:
            number = json.loads(path.read_text(encoding="utf-8"))["table"]
        except (ValueError, KeyError, TypeError):
            raise OtherTable(f"{path} is damaged, or is none of this command; choose another folder") from None
        if number != order.table.number:
            raise OtherTable(f"{out} holds table {number}; choose another folder")
    elif out.is_dir() and any(out.iterdir()):
        raise OtherTable(f"{out} is not empty and holds no table of the paper; choose another folder")
    else:
        out.mkdir(parents=True, exist_ok=True)
        write_json(path, {"table": order.table.number})


def _large(order: PaperOrder, console: Console) -> Bundle:
    """The network of the large set: given, made before, or made now."""
    if order.init is not None:
        return order.init
    _check_apart(order)
    made = order.out / LARGE / _BUNDLE
    if made.is_dir():
        return _as_ordered(bundle.load(made), order)
    # What is wrong with the small set is told now, not after the hours that the large one takes.
    planning.make(_first_further(order))
    prepare_torch(0)
    console.print("the network of the large set", highlight=False)
    with terminal.bars(console) as bars:
        return make(
            produce.Order(
                "fit", order.out / LARGE, _BUNDLE, order.data, order.geometry, order.large_recipe(), order.seed,
                skip_unusable=order.skip_unusable,
            ),
            bars,
        )  # fmt: skip


def _first_further(order: PaperOrder) -> Order:
    """The first row that is trained further, as if from random weights."""
    return order.cross_validation(next(row for row in order.rows if row.further), None)


def _check_apart(order: PaperOrder) -> None:
    """Raise BadOrder where the network of the large set would see cells that it is tested on later; BadDataFolder."""
    row = _first_further(order)
    cv.check(row, across=True)
    if real(order.data).name == real(row.data).name:
        raise produce.BadOrder(f"the large set and the small one are both called {real(row.data).name}")
    large = {cell.sha256 for cell in read_folder(order.data)}
    if n := sum(cell.sha256 in large for cell in read_folder(row.data)):
        raise produce.BadOrder(
            f"{n} pictures of {row.data} are in {order.data} too: the network of the large set would see cells that it"
            " is tested on"
        )


def _as_ordered(made: Bundle, order: PaperOrder) -> Bundle:
    """The bundle; raises OtherTable where it was made otherwise."""
    found = made.manifest
    recipe = asdict(order.large_recipe()) | {"seed": order.seed}
    wanted = {"data": _sha256_of_large(order, found.data.sha256), "geometry": order.geometry.name} | recipe
    there = {"data": found.data.sha256, "geometry": found.geometry} | found.recipe
    if other := [key for key, value in wanted.items() if there.get(key) != value]:
        raise OtherTable(f"{made.folder} was trained with other {', '.join(other)}; choose another --out")
    return made


def _sha256_of_large(order: PaperOrder, made: str) -> str:
    """Of the cells that the network of the large set would be trained on; `made` is what one was trained on."""
    choice = training_set.choose(order.data, order.large_recipe().inner_share, training_set.withheld())
    found = data_sha256(choice.train + choice.inner)
    if found == made or not order.skip_unusable:
        return found
    # Only who reads the pictures knows which of them cannot be used.
    return data_sha256(training_set.load(choice, order.geometry, skip_unusable=True).cells)


def _put(file: Path, content: bytes) -> None:
    temporary = file.with_name(f".{file.name}.new")
    temporary.write_bytes(content)
    temporary.replace(file)
