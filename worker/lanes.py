"""Which slides go first: three lanes, each a list of its own in the broker, emptied in this order."""

from typing import Any, Final

from sqlalchemy import ColumnElement, case, literal_column
from sqlmodel import col

from smear.sources import MAX_PRIORITY
from smear.tables import RevisionRow


#: Message priorities of Celery over Redis, which takes the smaller first; kombu keeps a list for each.
EXPRESS, ORDINARY, LOW = 0, 3, 6
LANES: Final = (EXPRESS, ORDINARY, LOW)
_EXPRESS_RANK: Final = -MAX_PRIORITY - 1


def rank(priority: int, *, express: bool = False) -> int:
    """What slides are ordered by in the outbox, the smallest first: a source's priority turned round."""
    return _EXPRESS_RANK if express and priority >= 0 else -priority


def in_lane(lane: int) -> Any:
    """The condition under which a RevisionRow goes through a lane."""
    of = col(RevisionRow.rank)
    return {EXPRESS: of < 0, ORDINARY: of == 0, LOW: of > 0}[lane]


def lane_of_row() -> Any:
    """The lane of a RevisionRow in a query. All literal: PostgreSQL groups by no expression that holds parameters."""
    of = col(RevisionRow.rank)
    return case((of < _literal(0), _literal(EXPRESS)), (of > _literal(0), _literal(LOW)), else_=_literal(ORDINARY))


def _literal(number: int) -> ColumnElement[int]:
    return literal_column(str(number))
