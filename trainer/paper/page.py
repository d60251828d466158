"""table.html: a repeated table on one page that needs nothing beside itself."""

from smear.cells import CELL_TYPES
from trainer.paper import sentences
from trainer.paper.told import Told
from trainer.report.page import template, uri


def page(told: Told, curve: bytes | None) -> str:
    """The page; `curve` is a PNG file, None where there is none."""
    return template("trainer.paper", "table.html.jinja").render(
        told=told,
        types=CELL_TYPES,
        introduction=sentences.introduction(told),
        figures_note=sentences.FIGURES_NOTE,
        comparability=sentences.comparability(told),
        differences=sentences.differences(told),
        differences_note=sentences.DIFFERENCES_NOTE,
        notes=sentences.notes(told),
        settings=sentences.settings,
        curve=uri("image/png", curve) if curve else None,
    )
