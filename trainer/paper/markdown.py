"""table.md: a repeated table as Markdown, beside the paper's own."""

from smear.cells import CELL_TYPES
from trainer.paper import sentences
from trainer.paper.told import RowTold, Told
from trainer.report.markdown import code, escape, one_decimal, table


def markdown(told: Told) -> str:
    """The page's text."""
    sections = [f"# {escape(told.title)}", escape(sentences.introduction(told))]
    if told.table.number == 2:
        sections.append(counts(told))
    else:
        sections += [beside(told), sentences.FIGURES_NOTE]
    sections.append(escape(sentences.comparability(told)))
    if verdicts := sentences.differences(told):
        sections += ["## Differences, cell by cell", *(f"- {escape(verdict)}" for verdict in verdicts)]
        sections.append(sentences.DIFFERENCES_NOTE)
    if told.curve:
        sections += ["## Learning curve of the small set (class average, per cent)", _curve(told), "![](curve.png)"]
    if told.rows:
        sections += ["## What is taken for what", _confusions(told)]
    sections += [escape(note) for note in sentences.notes(told)]
    for row in told.rows:
        sections += [f"## By fold: {escape(row.title)}", _folds(row), escape(sentences.settings(row))]
    sections.append(f"Command: {code(told.command)}")
    return "\n\n".join(sections) + "\n"


def counts(told: Told) -> str:
    """Table 2."""
    head, last = [""], ["all"]
    lines: list[list[str]] = [[name] for name in CELL_TYPES]
    for title, counted in told.count_columns:
        head += [escape(title), "Share (%)"]
        for line, (_, n, share) in zip(lines, counted.lines, strict=True):
            line += [f"{n:,}", f"{share:.1f}"]
        last += [f"{counted.images:,}", "100.0"]
    return table(head, [*lines, last])


def beside(told: Told) -> str:
    """The paper's lines above, the rows below."""
    lines = [
        [
            f"Paper: {line.name}",
            *(one_decimal(line.recall[name]) for name in CELL_TYPES),
            one_decimal(line.average),
            "-",
        ]
        for line in told.published
    ]
    for row in told.rows:
        average = row.facts.class_average
        recalls = [one_decimal(line.recall) for line in row.facts.pooled]
        limits = f"{average.value:.1f} ({average.low:.1f} to {average.high:.1f})"
        lines.append([escape(row.title), *recalls, limits, one_decimal(row.facts.accuracy.value)])
    return table(["", *CELL_TYPES, "Class average", "Accuracy"], lines)


def _folds(row: RowTold) -> str:
    numbers = [f"Fold {n}" for n in row.facts.fold_numbers]
    lines = [
        [line.name, *map(one_decimal, line.folds), one_decimal(line.mean), one_decimal(line.deviation)]
        for line in row.facts.rows
    ]
    return table(["", *numbers, "Mean", "Deviation"], lines)


def _confusions(told: Told) -> str:
    def said(row: RowTold) -> str:
        return "; ".join(f"{c.true} as {c.predicted} {c.count} ({c.percent:.1f} %)" for c in row.confusions) or "none"

    return table(["", "Commonest, per cent of the true type"], [[escape(row.title), said(row)] for row in told.rows])


def _curve(told: Told) -> str:
    lines = []
    for point in told.curve:
        both = [f"{v.value:.1f} ({v.low:.1f} to {v.high:.1f})" if v else "-" for v in (point.scratch, point.further)]
        lines.append([f"{100 * point.share:g} %, about {point.cells} cells", *both])
    return table(["", "From scratch", "Trained further"], lines)
