"""What a repeated table has to be told with: what the figures can be compared with, and what they say."""

from smear.files import real
from trainer.paper.curve import worth
from trainer.paper.told import RowTold, Told
from trainer.report.statement import grouping
from trainer.resample import RESAMPLES


FIGURES_NOTE = (
    "Recall in per cent over all folds together; class average: the mean over the five types, with the limits of a"
    " bootstrap."
)


DIFFERENCES_NOTE = (
    "The second row less the first in points, on the very same cells, with the limits of a paired bootstrap, groups"
    ' drawn whole. "Really" is said where these limits leave out zero and McNemar\'s exact test gives a p below 0.05;'
    " that test takes cells as independent of each other. Each pair is judged by itself: among many, one in twenty"
    " would be told apart by either measure where nothing is different. Each row was trained once; another seed was not"
    " tried."
)


#: As `report.facts.LIMITS_NOTE`, of the figures that have limits here.
LIMITS_NOTE = (
    f"Limits of a class average: the 2.5th and 97.5th percentile of {RESAMPLES:,} bootstrap resamples, stratified by"
    " type, groups drawn whole. They tell how much other cells would move the figure, not how much another training"
    " with another seed would, and shrink to nothing where no cell at all is wrong. Limits of each type's recall are in"
    " the rows' own reports."
)


def introduction(told: Told) -> str:
    """What was run on what."""
    if told.table.number == 2:
        sets = " and ".join(f"{one.images:,} pictures of {one.data}" for one in told.counts)
        return f"The {sets} by type, beside the paper's 6,562."
    n = sum(row.facts.run.info.variant is None for row in told.rows)
    run = (
        f"{n} row{'' if n == 1 else 's'}, each cross-validated in {told.folds} folds on the {told.images:,} pictures of"
        f" {told.data}."
    )
    kept = grouping(told.rows[0].facts.run.info.grouping) if told.rows else ""
    unusable = len(told.rows[0].facts.run.info.refused) if told.rows else 0
    refused = f"Pictures that could not be used and were left out: {unusable:,}." if unusable else ""
    start = ""
    if told.start is not None:
        data = told.start.manifest.data
        start = (
            f"Rows trained further start from {told.start.bundle_id}, trained on {data.images:,} pictures of"
            f" {data.name}."
        )
    return " ".join(part for part in (run, refused, kept, start) if part)


def comparability(told: Told) -> str:
    """What stands between the paper's figures and these."""
    if told.table.number == 1:
        return (
            "The figures that the paper gives for the older families are not among what this project has of it, and are"
            " therefore not set beside these."
        )
    if told.table.number == 2:
        return "The paper's pictures are others."
    return (
        "The paper's figures are of other pictures: the rows say what the same experiment comes to here, not which of"
        " two networks is better."
    )


def notes(told: Told) -> list[str]:
    """Plain paragraphs under the figures."""
    found = list(told.table.notes)
    if told.table.number == 4 and told.rows:
        found.append(depth(told))
    found += worth(told.curve)
    if told.rows:
        found.append(LIMITS_NOTE)
    return found


def differences(told: Told) -> list[str]:
    """The verdict of every paired comparison."""
    return [row.beside.verdict for row in told.rows if row.beside is not None]


def settings(told: RowTold) -> str:
    """What a row was run with, and where its own report is: not by its path, which is the host's affair."""
    info = told.facts.run.info
    parts = [info.model]
    if info.parameters:
        parts.append(f"{info.parameters:,} parameters, started from {info.init or 'random weights'}")
    parts += [f"recipe {info.recipe}", f"seed {info.seed}"]
    text = ", ".join(parts) + (f"; {info.shortened}" if info.shortened else "") + "."
    if info.variant is not None:
        return text
    return f"{text} Its own report: report.html in the folder {real(told.folder).name}."


def depth(told: Told) -> str:
    """Why the paper's 51 % says nothing about depth, as far as these rows carry."""
    by_name = {row.name: row for row in told.rows}
    why = (
        "What 51 % says about depth: nothing that can be told from it. An average of one half over five types is what a"
        " network gives whose training or whose asking went wrong, whatever its depth; and the paper's code for this"
        " row is not at hand, so its reason cannot be proved."
    )
    parts = [why]
    paper, recomputed = by_name.get("paper"), by_name.get("paper/statistics-recomputed")
    if paper and recomputed:
        moved = recomputed.facts.class_average.value - paper.facts.class_average.value
        parts.append(
            f"Here the paper's settings come to {_average(paper)}; the very same weights with recomputed statistics to"
            f" {_average(recomputed)}, {moved:+.1f} points by the asking alone."
        )
    parts += [
        f"{row.title}: {_average(row)}." for key in ("healthy", "group-norm") if (row := by_name.get(key)) is not None
    ]
    if by_name:
        parts.append(
            "These are other pictures than the paper's"
            + (" and shortened or coarser runs" if any(row.facts.run.info.shortened for row in told.rows) else "")
            + ": they can show that such a network learns these cells under some settings, not what happened in 2019."
        )
    return " ".join(parts)


def _average(row: RowTold) -> str:
    figure = row.facts.class_average
    return f"{figure.value:.1f} % ({figure.low:.1f} to {figure.high:.1f})"
