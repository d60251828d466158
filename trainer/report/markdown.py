"""cv.md: the run's figures as Markdown, in the layout of the paper's Table 3."""

import re
from collections.abc import Iterable, Sequence

from trainer.report.facts import DEVIATION_NOTE, LIMITS_NOTE, PAPER_AVERAGE, PAPER_NOTE, Facts, Row
from trainer.report.statement import beside, counts, statement, title
from trainer.resample import Interval


_SPECIAL = re.compile(r"[\\`*_<>|\[\]#~]")


def markdown(facts: Facts) -> str:
    """The page's text."""
    info = facts.run.info
    sections = [
        f"# {escape(title(info))}",
        escape(statement(facts)),
        f"Cells by type: {escape(counts(info))}.",
        "## Recall by fold (per cent)",
        table(["", *(f"Fold {n}" for n in facts.fold_numbers), "Mean", "Deviation"], map(_row, facts.rows)),
        DEVIATION_NOTE,
        "## Pooled over the folds",
        _pooled(facts),
        f"{LIMITS_NOTE} {PAPER_NOTE}",
    ]
    if more := beside(facts):
        sections.append(escape(more))
    return "\n\n".join(sections) + "\n"


def escape(text: str) -> str:
    """Text that Markdown must take as it is, on one line."""
    return _SPECIAL.sub(r"\\\g<0>", " ".join(text.split()))


def code(text: str) -> str:
    """Words of a command, between more backticks than they have in a row themselves."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence} {text} {fence}" if len(fence) > 1 else f"`{text}`"


def one_decimal(value: float | None) -> str:
    """A per cent figure, "-" where there is none."""
    return "-" if value is None else f"{value:.1f}"


def _row(row: Row) -> list[str]:
    return [row.name, *map(one_decimal, row.folds), one_decimal(row.mean), one_decimal(row.deviation)]


def _pooled(facts: Facts) -> str:
    lines = []
    for line in facts.pooled:
        limits = "-" if line.limits is None else f"{line.limits[0]:.1f} to {line.limits[1]:.1f}"
        lines.append([line.name, f"{line.right} of {line.cells}", one_decimal(line.recall), limits, str(line.paper)])
    total = len(facts.run.cells.labels)
    lines += [
        ["class average", "", *_limits(facts.class_average), str(PAPER_AVERAGE)],
        ["accuracy", f"{total - facts.errors} of {total}", *_limits(facts.accuracy), ""],
    ]
    return table(["", "Right", "Recall (%)", "95 % limits", "Paper (%)"], lines)


def _limits(figure: Interval) -> tuple[str, str]:
    return f"{figure.value:.1f}", f"{figure.low:.1f} to {figure.high:.1f}"


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table; every column but the first is set to the right."""
    rows = [f"| {' | '.join(cells)} |" for cells in (head, *lines)]
    return "\n".join([rows[0], f"|---|{'---:|' * (len(head) - 1)}", *rows[1:]])
