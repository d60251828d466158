"""The differential as it stands: counts of the slides on a board in which people have labelled cells."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import and_, case, func
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select

from review.slide import UNUSABLE, Rules
from smear.cells import CELL_TYPES
from smear.kinds import OUTSIDE
from smear.review_tables import LabelRow, ReviewRow
from smear.tables import DifferentialRow, PictureRow, PredictionRow, RevisionRow


@dataclass(frozen=True)
class Standing:
    """What a revision's cells count as now: the five by type, other cells, and doubtful cells without a label."""

    counts: dict[str, int]
    outside: int
    needs_review: int


def labelled(session: Session, slides: Collection[int]) -> set[int]:
    """Those of these slides that a person has worked on, in any revision: labels go on with their cells."""
    return set(
        session.exec(
            select(RevisionRow.slide)
            .join(ReviewRow, col(ReviewRow.revision) == col(RevisionRow.id))
            .where(col(RevisionRow.slide).in_(slides), col(ReviewRow.version) > 0)
        )
    )


def standing(session: Session, rules: Rules, results: Collection[int]) -> dict[int, Standing]:
    """By revision, what its cells count as now. `results` are rows of `differentials`, one a revision.

    Counted by the database: a page of slides holds many thousand cells. Each content of a revision counts once.
    """
    if not results:
        return {}
    p, label = PredictionRow, col(LabelRow.label)
    five = [getattr(p, f"p_{t}") for t in CELL_TYPES]
    group = case(
        (label.is_not(None), label),
        (col(p.state) == "classified", col(p.cell_type)),
        (col(p.state) == "outside", OUTSIDE),
        else_=UNUSABLE,
    )
    uncertain = and_(*(func.coalesce(probability, 0.0) < rules.review_below for probability in five))
    doubtful = case(
        (label.is_not(None), 0),
        (col(p.state) == "outside", 1),
        (and_(col(p.state) == "classified", uncertain), 1),
        else_=0,
    )
    cells = (
        select_columns(
            col(DifferentialRow.revision), col(PictureRow.cell), group.label("grouped"), doubtful.label("doubtful")
        )
        .join(PictureRow, col(PictureRow.revision) == col(DifferentialRow.revision))
        .outerjoin(p, (col(p.cell) == col(PictureRow.cell)) & (col(p.bundle) == col(DifferentialRow.bundle)))
        .outerjoin(LabelRow, col(LabelRow.cell) == col(PictureRow.cell))
        .where(col(DifferentialRow.id).in_(results), col(PictureRow.cell).is_not(None))
        .distinct()
        .subquery()
    )
    rows = session.execute(
        select_columns(cells.c.revision, cells.c.grouped, func.count(), func.sum(cells.c.doubtful)).group_by(
            cells.c.revision, cells.c.grouped
        )
    )
    counted: dict[int, dict[str, tuple[int, int]]] = {}
    for revision, grouped, cells_there, doubtful_there in rows:
        counted.setdefault(revision, {})[grouped] = (int(cells_there), int(doubtful_there))
    return {
        revision: Standing(
            {t: groups.get(t, (0, 0))[0] for t in CELL_TYPES},
            groups.get(OUTSIDE, (0, 0))[0],
            sum(doubtful_there for _, doubtful_there in groups.values()),
        )
        for revision, groups in counted.items()
    }
