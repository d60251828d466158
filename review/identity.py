"""The revision that a page was rendered from: each write names its identity, and an outdated page changes nothing.

Row numbers and versions alone do not tell one state of the database from another: a restore brings an earlier version
of a review back, which then counts on. An identity is random, and a restore draws new ones.
"""

from typing import Annotated, Final

from fastapi import Query
from pydantic import Field
from sqlmodel import Session, select

from review.refusal import Refused, conflict
from smear.tables import RevisionRow


#: As JSON bodies carry it.
Identity = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
#: As addresses carry it; empty is the identity of nothing.
IdentityInAddress = Annotated[str, Query(max_length=32)]

GONE: Final = (
    "This slide was removed from the database after you opened the page. Nothing was changed: go back to the board."
)
OUTDATED: Final = (
    "This page is out of date: the database was restored after you opened it. "
    "Nothing was changed: load the page again and look at what is there now."
)


def shown_revision(session: Session, slide: int, identity: str) -> RevisionRow:
    """The revision of a slide, the latest or an earlier one, that a page shows. Raises Refused (409)."""
    revisions = session.exec(select(RevisionRow).where(RevisionRow.slide == slide)).all()
    for revision in revisions:
        if revision.identity == identity:
            return revision
    raise conflict(OUTDATED if revisions else GONE)


def refuse_outdated(latest: RevisionRow, seen_number: int | None, identity: str | None) -> None:
    """Raises Refused (409) where the latest revision is not the one that was seen; None is not compared."""
    if seen_number not in (None, latest.number):
        raise conflict(
            f"New pictures of this slide came after you opened it: it is revision {latest.number} now. "
            "Nothing was changed: look at what is there now."
        )
    if identity not in (None, latest.identity):
        raise conflict(OUTDATED)


def gone(error: Refused) -> Refused:
    """What a page is answered whose slide is not there any more, instead of "there is no such slide"."""
    return conflict(GONE) if error.status == 404 else error
