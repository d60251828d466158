import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from trainer.compare.paired import compare
from trainer.compare.show import table


def _printed(make: Callable[..., Path], width: int = 130, first: dict[str, Any] | None = None, **second: Any) -> str:
    console = Console(width=width, file=io.StringIO())
    console.print(table(compare([make("a", **(first or {})), make("[bold]b", **second)])))
    return str(console.file.getvalue())


def test_the_table_tells_each_type_and_the_verdict(make_run: Callable[..., Path]):
    text = _printed(make_run, wrong={("basophil", i): "monocyte" for i in range(3)})
    assert "-50.0 (" in text
    assert "3:0" in text
    assert "class average" in text
    assert "Each run was trained once" in " ".join(text.split())


def test_brackets_in_a_folders_name_are_no_markup(make_run: Callable[..., Path]):
    assert "[bold]b beside a" in _printed(make_run)


def test_what_was_left_out_and_what_differs_is_told(make_run: Callable[..., Path]):
    text = _printed(make_run, per_type=4, info={"data_sha256": "cd" * 32, "views": 1})
    assert "of different data" in text
    assert "views 8 > 1" in text


def test_the_table_fits_a_terminal_of_eighty_columns(make_run: Callable[..., Path]):
    text = _printed(
        make_run,
        width=80,
        first={"per_type": 20},
        per_type=20,
        wrong={("lymphocyte", i): "monocyte" for i in range(19)},
    )
    assert "…" not in text
    assert "-95.0 (-100.0 to -85.0)" in text
