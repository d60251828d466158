"""What a person sees of a cross-validation while it runs: a bar a fold, the time left, recall by type."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from smear.cells import CELL_TYPES


class Live:
    """Takes what the fold processes say; its `said` is the listener of `side_by_side.run_folds`."""

    def __init__(self, progress: Progress, folds: list[int], done: list[int]) -> None:
        self._progress = progress
        self._whole = progress.add_task(f"{len(folds)} folds", total=len(folds), completed=len(done), said="")
        self._tasks: dict[int, TaskID] = {}

    def said(self, fold: int, message: dict[str, Any]) -> None:
        """One message of one fold."""
        if "of" in message:
            self._tasks[fold] = self._progress.add_task(
                f"fold {fold}", total=message["of"], completed=message["steps"], said=""
            )
            for epoch in message["epochs"][-1:]:
                self._show(fold, epoch)
        elif "epoch" in message:
            self._show(fold, message["epoch"])
            if not self._progress.console.is_terminal:
                self._progress.console.print(f"fold {fold}  {_line(message['epoch'])}", highlight=False, soft_wrap=True)
        elif "steps" in message:
            self._progress.update(self._tasks[fold], completed=message["steps"])
        elif fold in self._tasks:
            task = self._tasks[fold]
            self._progress.update(task, completed=self._progress.tasks[task].total)
            self._progress.advance(self._whole)

    def _show(self, fold: int, epoch: dict[str, Any]) -> None:
        self._progress.update(self._tasks[fold], said=_line(epoch))


@contextmanager
def live(console: Console, folds: list[int], done: list[int]) -> Iterator[Live]:
    """Bars on standard error while the block runs; without a terminal, a line an epoch."""
    columns = (TextColumn("{task.description}"), BarColumn(20), TextColumn("{task.percentage:3.0f} %"))
    times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(elapsed_when_finished=True))
    with Progress(*columns, *times, TextColumn("{task.fields[said]}"), console=console) as progress:
        yield Live(progress, folds, done)


def _line(epoch: dict[str, Any]) -> str:
    """An epoch in one line; the scores are those of the fold's test cells, by which nothing is chosen."""
    test = epoch["test"]
    recall = " ".join(
        f"{t[0].upper()} {'-' if test['recall'][t] is None else format(100 * test['recall'][t], '.1f')}"
        for t in CELL_TYPES
    )
    average = 100 * test["class_average"]
    return f"epoch {epoch['epoch']}  loss {epoch['loss']:.4f}  class average {average:.1f}  {recall}"
