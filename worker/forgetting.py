"""Removing slides from the database: what is removed with them, and which rows make a slide stay.

Both follow from the foreign keys of all tables. A table that refers to slides, revisions or cells and is not named here
makes the slide stay: what a person said or signed is never removed, nor is what a later version may add.
"""

from typing import Any, Final

from sqlalchemy import Table, delete, exists, or_, select
from sqlmodel import Session, SQLModel, col

# Fills the metadata with every table.
import smear.nightly_tables  # noqa: F401
from smear.review_tables import ReviewRow
from smear.tables import CellRow, DifferentialRow, PictureRow, PredictionRow, RevisionRow, SlideRow


#: Removed with the slide, in this order, so that no row ever refers to one that is gone.
REMOVED: Final[tuple[type[SQLModel], ...]] = (
    PredictionRow,
    PictureRow,
    CellRow,
    DifferentialRow,
    ReviewRow,  # who looked at it last; whatever they did there stands in tables that make the slide stay
    RevisionRow,
    SlideRow,
)
_PARTS: Final = ("slides", "revisions", "cells")


def references() -> list[tuple[Table, str, str]]:
    """(table, its column, one of slides, revisions, cells) of every foreign key to a slide or a part of one."""
    return [
        (table, key.parent.name, key.column.table.name)
        for table in SQLModel.metadata.sorted_tables
        for key in table.foreign_keys
        if key.column.table.name in _PARTS
    ]


def must_stay() -> Any:
    """The condition under which a slide in a query of SlideRow may not be removed: a label, a signature, a remark or
    anything else that a person left refers to it or to a part of it.
    """
    removed = {row.__tablename__ for row in REMOVED}
    return or_(*(_refers(*reference) for reference in references() if reference[0].name not in removed))


def _refers(table: Table, column: str, part: str) -> Any:
    """Whether a row of that table refers to the slide in the query around it, or to one of its parts."""
    if part == "slides":
        return exists().where(table.c[column] == SlideRow.id)
    rows: Any = RevisionRow if part == "revisions" else CellRow
    return exists().where(table.c[column] == rows.id, rows.slide == SlideRow.id).correlate(SlideRow)


def remove(session: Session, slides: list[int]) -> None:
    """Delete slides with everything in REMOVED that belongs to them. Ask `must_stay` first, under the slides' locks."""
    of: dict[str, Any] = {
        "slides": slides,
        "revisions": select(col(RevisionRow.id)).where(col(RevisionRow.slide).in_(slides)),
        "cells": select(col(CellRow.id)).where(col(CellRow.slide).in_(slides)),
    }
    for rows in REMOVED:
        of_these = [
            table.c[column].in_(of[part]) for table, column, part in references() if table.name == rows.__tablename__
        ]
        session.execute(delete(rows).where(or_(*of_these) if of_these else col(SlideRow.id).in_(slides)))
