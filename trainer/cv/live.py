"""What a person sees of a cross-validation while it runs: a bar a fold, epochs, the time left, recall by type."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column

from smear.cells import CELL_TYPES


class Live:
    """Takes what the fold processes say; its `said` is the listener of `side_by_side.run_folds`."""

    def __init__(self, progress: Progress, folds: list[int], done: list[int]) -> None:
        self._progress = progress
        self._folds, self._done = len(folds), len(done)
        self._whole = progress.add_task("all", total=None, said=self._finished())
        self._tasks: dict[int, TaskID] = {}
        self._of = 0
        self._steps: dict[int, int] = {}
        self._epochs: dict[int, int] = {}

    def said(self, fold: int, message: dict[str, Any]) -> None:
        """One message of one fold."""
        if "of" in message:
            self._start(fold, message)
        elif "epoch" in message:
            self._show(fold, message["epoch"])
            if not self._progress.console.is_terminal:
                line = f"fold {fold}  {_line(message['epoch'], self._epochs[fold])}"
                self._progress.console.print(line, highlight=False, soft_wrap=True)
        elif "steps" in message:
            self._progress.update(self._tasks[fold], completed=message["steps"])
            self._progress.advance(self._whole, message["steps"] - self._steps[fold])
            self._steps[fold] = message["steps"]
        elif "done" in message:
            self._done += 1
            if fold in self._tasks:
                # The last steps were too few to be worth a message.
                self._progress.advance(self._whole, self._of - self._steps[fold])
                self._progress.remove_task(self._tasks[fold])
            self._progress.update(self._whole, said=self._finished())

    def _start(self, fold: int, message: dict[str, Any]) -> None:
        # Folds are alike, so the first that starts tells how long all of them are.
        if not self._tasks:
            self._of = message["of"]
            self._progress.update(self._whole, total=self._of * self._folds, completed=self._of * self._done)
        self._tasks[fold] = self._progress.add_task(
            f"fold {fold}", total=message["of"], completed=message["steps"], said=""
        )
        self._progress.advance(self._whole, message["steps"])
        self._steps[fold], self._epochs[fold] = message["steps"], message["of_epochs"]
        for epoch in message["epochs"][-1:]:
            self._show(fold, epoch)

    def _show(self, fold: int, epoch: dict[str, Any]) -> None:
        self._progress.update(self._tasks[fold], said=_line(epoch, self._epochs[fold]))

    def _finished(self) -> str:
        return f"{self._done} of {self._folds} folds"


@contextmanager
def live(console: Console, folds: list[int], done: list[int]) -> Iterator[Live]:
    """Bars on standard error while the block runs; without a terminal, a line an epoch."""
    columns = (TextColumn("{task.description}"), BarColumn(10), TextColumn("{task.percentage:3.0f} %"))
    # Narrow terminals cut the line of scores from its end, where the loss is, and never the time.
    left = TimeRemainingColumn(table_column=Column(min_width=7, no_wrap=True))
    scores = TextColumn("{task.fields[said]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1))
    with Progress(*columns, left, TextColumn("left"), scores, console=console, expand=True) as progress:
        yield Live(progress, folds, done)


def _line(epoch: dict[str, Any], epochs: int) -> str:
    """An epoch in one line; the scores are those of the fold's test cells, by which nothing is chosen."""
    test = epoch["test"]
    recall = " ".join(f"{t[0].upper()} {_percent(test['recall'][t])}" for t in CELL_TYPES)
    return f"{epoch['epoch']}/{epochs}  {recall}  mean {_percent(test['class_average'])}  loss {epoch['loss']:.3f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"
