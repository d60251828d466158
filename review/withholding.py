"""Withheld per cents: where a slide shows counts alone, and the words that say why."""

from collections.abc import Mapping

from smear.differential import Differential


def withheld_words(counts: Mapping[str, int], percent: Mapping[str, float] | None, min_cells: int) -> str | None:
    """Why there are no per cents, as "withheld: few cells, 42 of 50"; None where there are."""
    return None if percent is not None else f"withheld: few cells, {sum(counts.values())} of {min_cells}"


def percent_shown(opinion: Differential, reported: Differential) -> dict[str, float] | None:
    """The per cents that the column of an opinion shows; None where it rests on few cells or the reported one does.

    Per cents that are withheld of the reported differential must not stand in the column next to it.
    """
    return None if reported.percent is None else opinion.percent
