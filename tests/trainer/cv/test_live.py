import io

import pytest
from rich.console import Console

from smear.cells import CELL_TYPES
from trainer.cv.live import live


def _epoch(number: int, class_average=0.975, **recall):
    test = {"class_average": class_average, "accuracy": 0.97, "recall": dict.fromkeys(CELL_TYPES, 0.98) | recall}
    return {"epoch": number, "loss": 0.12345, "learning_rate": 1e-4, "seconds": 1.0, "test": test}


def _start(shown, fold, steps=0, epochs=()):
    shown.said(fold, {"steps": steps, "of": 100, "of_epochs": 10, "epochs": list(epochs)})


@pytest.fixture
def console():
    """A file, as a log would be."""
    return Console(file=io.StringIO(), width=200)


def _all(shown):
    return next(task for task in shown._progress.tasks if task.description == "all")


def test_without_a_terminal_every_epoch_is_a_line_with_the_recall_of_each_type(console):
    with live(console, [0, 1], []) as shown:
        _start(shown, 1)
        shown.said(1, {"epoch": _epoch(1, basophil=0.5)})
        shown.said(1, {"epoch": _epoch(2)})
    # The bars follow when all is over.
    lines = [line.rstrip() for line in console.file.getvalue().splitlines() if line.strip()][:2]
    assert lines == [
        "fold 1  1/10  N 98.0 E 98.0 B 50.0 L 98.0 M 98.0  mean 97.5  loss 0.123",
        "fold 1  2/10  N 98.0 E 98.0 B 98.0 L 98.0 M 98.0  mean 97.5  loss 0.123",
    ]


def test_a_type_that_a_fold_lacks_is_a_dash(console):
    with live(console, [0], []) as shown:
        _start(shown, 0)
        shown.said(0, {"epoch": _epoch(1, class_average=None, monocyte=None)})
    assert "M -  mean -  loss" in console.file.getvalue()


def test_the_whole_counts_the_steps_of_all_folds_and_ends_full(console):
    with live(console, [0, 1, 2, 3], [3]) as shown:
        assert _all(shown).total is None
        _start(shown, 0)
        # Three to do and one done before.
        assert (_all(shown).total, _all(shown).completed) == (400, 100)
        _start(shown, 1, steps=30, epochs=[_epoch(3)])
        assert _all(shown).completed == 130
        shown.said(1, {"steps": 50})
        shown.said(0, {"steps": 98})
        assert _all(shown).completed == 248
        shown.said(0, {"done": True})
        assert _all(shown).completed == 250
        assert [task.description for task in shown._progress.tasks] == ["all", "fold 1"]
        shown.said(1, {"done": True})
        _start(shown, 2)
        shown.said(2, {"done": True})
        assert _all(shown).finished
        assert _all(shown).fields["said"] == "4 of 4 folds"


def test_a_fold_that_is_gone_on_with_shows_its_last_epoch_at_once(console):
    with live(console, [0], []) as shown:
        _start(shown, 0, steps=30, epochs=[_epoch(2), _epoch(3, eosinophil=0.25)])
        (fold,) = (task for task in shown._progress.tasks if task.description == "fold 0")
        assert fold.completed == 30
        assert fold.fields["said"].startswith("3/10  N 98.0 E 25.0")


def test_a_fold_that_ends_before_it_said_anything_counts_as_done(console):
    with live(console, [0, 1], []) as shown:
        shown.said(0, {"done": True})
        assert _all(shown).fields["said"] == "1 of 2 folds"


@pytest.mark.parametrize("width", [80, 120])
def test_on_a_terminal_bars_fit_its_width_and_tell_recall_and_the_time_left(console, width):
    terminal = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    with live(console, [0, 1], []) as shown:
        _start(shown, 0, steps=30, epochs=[_epoch(3)])
        terminal.print(shown._progress.get_renderable())
    lines = terminal.file.getvalue().splitlines()
    assert [len(line) <= width for line in lines] == [True, True]
    assert "0 of 2 folds" in lines[0]
    assert "3/10  N 98.0 E 98.0" in lines[1]
    assert all(" left " in line for line in lines)
