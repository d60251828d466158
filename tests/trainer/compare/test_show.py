import io
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from trainer.compare.paired import compare
from trainer.compare.show import table


def _printed(make: Callable[..., Path], **second: object) -> str:
    console = Console(width=130, file=io.StringIO())
    console.print(table(compare([make("a"), make("[bold]b", **second)])))
    return console.file.getvalue()


def test_the_table_tells_each_type_and_the_verdict(make_run: Callable[..., Path]):
    text = _printed(make_run, wrong={("basophil", i): "monocyte" for i in range(3)})
    assert "-50.0 (" in text
    assert "3 : 0" in text
    assert "class average" in text
    assert "Each run was trained once" in text


def test_brackets_in_a_folders_name_are_no_markup(make_run: Callable[..., Path]):
    assert "[bold]b beside a" in _printed(make_run)


def test_what_was_left_out_and_what_differs_is_told(make_run: Callable[..., Path]):
    text = _printed(make_run, per_type=4, info={"data_sha256": "cd" * 32, "views": 1})
    assert "of different data" in text
    assert "views 8 > 1" in text
