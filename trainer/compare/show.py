"""A comparison as tables for people, on a terminal."""

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from trainer.compare.mcnemar import McNemar
from trainer.compare.paired import Comparison, PairResult
from trainer.compare.verdict import Shift, p_text


def table(comparison: Comparison) -> RenderableType:
    """A table and a sentence for each pair, then how to read them."""
    blocks: list[RenderableType] = []
    for pair in comparison.pairs:
        blocks += [_pair(pair), *(Text(line) for line in _notes(pair)), Text(pair.verdict, style="bold"), Text()]
    return Group(*blocks, Text(_reading(comparison), style="dim"))


def _pair(pair: PairResult) -> Table:
    # Text, not markup: folder names may hold brackets.
    title = Text(f"{pair.second} beside {pair.first}: {pair.cells:,} cells")
    lines = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    lines.add_column("", no_wrap=True)
    for head in ("cells", "1st", "2nd", "points (95 %)", "only one", "p"):
        lines.add_column(head, justify="right", no_wrap=True)
    for t in pair.types:
        lines.add_row(t.cell_type, f"{t.cells:,}", *_figures(t.recall), _split(t.test), _p(t.holm_p))
    lines.add_section()
    lines.add_row("class average", "", *_figures(pair.class_average), "", "", style="bold")
    lines.add_row("accuracy", f"{pair.cells:,}", *_figures(pair.accuracy), _split(pair.test), _p(pair.test.p))
    return lines


def _figures(shift: Shift) -> tuple[str, str, str]:
    d = shift.difference
    return f"{shift.first:.1f}", f"{shift.second:.1f}", f"{d.value:+.1f} ({d.low:+.1f} to {d.high:+.1f})"


def _split(test: McNemar) -> str:
    return f"{test.only_first}:{test.only_second}"


def _p(p: float) -> str:
    return p_text(p).removeprefix("p").replace("=", "").replace(" ", "")


def _notes(pair: PairResult) -> list[str]:
    notes = []
    if left := pair.left_out_first + pair.left_out_second:
        of = "" if pair.same_data else "The runs are of different data. "
        notes.append(
            f"{of}Left out, as only one run judged them: {left:,} cells"
            f" ({pair.left_out_first:,} of {pair.first}, {pair.left_out_second:,} of {pair.second})."
        )
    if pair.relabelled:
        notes.append(f"Left out, as the runs know them under different types: {pair.relabelled:,} cells.")
    if pair.differing:
        changes = ", ".join(f"{name} {_value(a)} > {_value(b)}" for name, (a, b) in pair.differing.items())
        notes.append(f"First > second: {changes}.")
    return notes


def _value(value: Any) -> str:
    return "-" if value is None else str(value)


def _reading(comparison: Comparison) -> str:
    return (
        "Recall in per cent; second minus first in points; cells that only one of the two has right, first:second."
        f" Limits: paired bootstrap of {comparison.resamples:,} resamples, stratified by type, groups drawn whole. p:"
        " McNemar's exact test, by type corrected after Holm. Each run was trained once: what is tested is these two"
        " trained sets of networks, not what another seed would have made of their recipes."
    )
