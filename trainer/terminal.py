"""What the trainer shows a person: progress and tables on standard error, one JSON object a line on standard output."""

import errno
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from smear.bundle import BadBundle, Bundle
from smear.cells import CELL_TYPES
from smear.labelled import BadDataFolder, LabelledCell
from smear.plain import PlainError
from trainer.checkpoint import OtherRun
from trainer.describe import Layer
from trainer.learning import BrokeOff, Epoch
from trainer.produce import BadOrder
from trainer.scores import Scores
from trainer.split import AlreadyDrawn


OnStep = Callable[[], None]
OnEpoch = Callable[[Epoch], None]

BROKE_OFF: Final = 1
BAD_CALL: Final = 2
#: The call, the data or the settings are wrong: doing it again does not help.
_BAD_CALLS: Final = (
    BadDataFolder, BadBundle, BadOrder, OtherRun, AlreadyDrawn, PlainError,
    FileExistsError, FileNotFoundError, NotADirectoryError, PermissionError,
)  # fmt: skip
#: The same of errors that have no class of their own.
_BAD_CALL_ERRNOS: Final = frozenset({errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP, errno.EISDIR})


@contextmanager
def plain_errors(console: Console) -> Iterator[None]:
    """Turn named errors into one sentence on standard error and an exit code: 2 a bad call, 1 can be resumed."""
    try:
        yield
    except _BAD_CALLS as error:
        _say(console, str(error))
        raise typer.Exit(BAD_CALL) from None
    except (BrokeOff, OSError) as error:
        if isinstance(error, OSError) and error.errno in _BAD_CALL_ERRNOS:
            _say(console, str(error))
            raise typer.Exit(BAD_CALL) from None
        _say(console, f"{error}; what was done is kept, the same command goes on from there")
        raise typer.Exit(BROKE_OFF) from None
    except KeyboardInterrupt:
        _say(console, "stopped; what was done is kept, the same command goes on from there")
        raise typer.Exit(BROKE_OFF) from None


def print_json(value: dict[str, Any]) -> None:
    """One object, one line, on standard output."""
    typer.echo(json.dumps(value))


@contextmanager
def bars(console: Console) -> Iterator["Bars"]:
    """Progress bars on standard error while the block runs."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=console) as progress:
        yield Bars(progress)


@dataclass(frozen=True)
class Bars:
    """A bar over pictures being read, a bar over training steps."""

    progress: Progress

    def reading(self, total: int | None) -> Callable[[Iterator[object]], Iterator[object]]:
        """For `load_pixels`: shows how many pictures are read."""
        return lambda pictures: iter(self.progress.track(pictures, total=total, description="reading pictures"))

    def training(self, done: int, epochs: int, steps_per_epoch: int) -> tuple[OnStep, OnEpoch]:
        """(on_step, on_epoch) for `learning.run`: a bar over all steps with the time left, a line an epoch."""
        title = f"epoch {min(done + 1, epochs)}/{epochs}"
        task = self.progress.add_task(title, total=epochs * steps_per_epoch, completed=done * steps_per_epoch)

        def on_epoch(epoch: Epoch) -> None:
            self.progress.update(task, description=f"epoch {min(epoch.number + 1, epochs)}/{epochs}")
            inner = f"  inner split: {short_scores(epoch.inner)}" if epoch.inner else ""
            self.progress.console.print(f"epoch {epoch.number:3d}  loss {epoch.loss:.4f}{inner}", highlight=False)

        return lambda: self.progress.advance(task), on_epoch


def short_scores(scores: Scores) -> str:
    """Class average and the recall of the five types on one line, per cent."""
    recall = "  ".join(f"{t[0].upper()} {_percent(scores.recall[t])}" for t in CELL_TYPES)
    return f"class average {_percent(scores.class_average)}  {recall}"


def layer_table(title: str, lines: list[Layer]) -> Table:
    """A model, layer by layer."""
    table = Table("layer", "shape", "parameters", title=title, show_footer=True)
    table.columns[1].justify = table.columns[2].justify = "right"
    table.columns[0].footer, table.columns[2].footer = "all", _known(sum(line.parameters for line in lines))
    for line in lines:
        table.add_row(line.name, " x ".join(map(str, line.shape)), f"{line.parameters:,}" if line.parameters else "")
    return table


def _known(parameters: int) -> str:
    return f"{parameters:,}" if parameters else "depends on the data"


def type_table(lines: list[tuple[str, int, float]]) -> Table:
    """The paper's Table 2 for a data folder."""
    table = Table("type", "count", "share (%)", title="Cells by type", show_footer=True)
    table.columns[1].justify = table.columns[2].justify = "right"
    table.columns[0].footer, table.columns[1].footer = "all", f"{sum(n for _, n, _ in lines):,}"
    for name, count, share in lines:
        table.add_row(name, f"{count:,}", f"{share:.1f}")
    return table


def score_table(scores: Scores) -> Table:
    """Recall by type beside the confusion matrix, a row a true type."""
    average, accuracy = _percent(scores.class_average), _percent(scores.accuracy)
    title = f"{scores.images} cells: class average {average} %, accuracy {accuracy} %"
    caption = f"expected calibration error {scores.ece:.4f}, negative log-likelihood {scores.nll:.4f}"
    table = Table("true type", "recall (%)", *(t[0].upper() for t in CELL_TYPES), title=title, caption=caption)
    for name, counts in zip(CELL_TYPES, scores.confusion, strict=True):
        table.add_row(name, _percent(scores.recall[name]), *map(str, counts))
    return table


def say_refused(refused: list[tuple[LabelledCell, str]], console: Console) -> None:
    """Name what was left out."""
    if refused:
        cell, reason = refused[0]
        line = f"left out {len(refused)} pictures, first {cell.shown}: {reason}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def say_made(made: Bundle, console: Console) -> None:
    """Where the new bundle is; a folder's name may look like markup."""
    console.print(f"{made.bundle_id} is in {made.folder}", markup=False, highlight=False, soft_wrap=True)


def print_cv(found: dict[str, Any], out: Path) -> None:
    """Recall by type over all folds, and where the rest is."""
    pooled, mean = found["pooled"], found["mean"]
    kind = "tuning run, no result: " if found["tune"] else ""
    short = f" ({found['shortened']})" if found["shortened"] else ""
    model = "" if found["model"] == "wnet" else f"{found['model']}, "
    title = Text(f"{kind}{model}{len(found['folds'])} folds, recipe {found['recipe']}{short}")
    table = Table("type", "recall (%)", "mean of folds (%)", title=title)
    for name in CELL_TYPES:
        table.add_row(name, _percent(pooled["recall"][name]), _percent(mean["recall"][name]))
    table.add_row("class average", _percent(pooled["class_average"]), _percent(mean["class_average"]))
    low, high = pooled["ci95"]["class_average"]
    table.caption = Text(f"95 % interval of the class average {_percent(low)} to {_percent(high)}; more in {out}")
    Console().print(table)


def say_table(found: dict[str, Any], out: Path, console: Console) -> None:
    """Class average of every row, and where the rest is."""
    for row in found["rows"]:
        average = row["class_average"]
        line = f"{row['title']}: {average['value']:.1f} % ({average['low']:.1f} to {average['high']:.1f})"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(f"the report is {out / 'table.html'}", markup=False, highlight=False, soft_wrap=True)


def _say(console: Console, sentence: str) -> None:
    console.print(f"trainer: {' '.join(sentence.split())}", markup=False, highlight=False, soft_wrap=True)


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.1f}"
