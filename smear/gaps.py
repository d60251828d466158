"""Gaps that page and status count alike, from rows: pictures that could not be kept, files that no slide takes."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import func
from sqlmodel import Session, col, select

from smear.tables import RevisionRow, SourceRow, is_latest_revision, utc_now


#: Slides that finished within so long are counted: what is older has been seen, or never will be.
RECENT: Final = timedelta(days=7)


def recently_finished() -> tuple[Any, ...]:
    """The conditions under which a RevisionRow is the latest of its slide and finished of late."""
    return (col(RevisionRow.finished_at) >= utc_now() - RECENT, is_latest_revision())


def pictures_not_kept(session: Session) -> tuple[int, int]:
    """(slides, pictures) that WNET_PICTURES lacks, of slides that finished of late. Of earlier revisions none count:
    nothing fills them in any more.
    """
    slides, pictures = session.exec(
        select(func.count(), func.coalesce(func.sum(RevisionRow.not_kept), 0)).where(
            col(RevisionRow.not_kept) > 0, *recently_finished()
        )
    ).one()
    return int(slides), int(pictures)


def ignored_total(session: Session) -> int:
    """How many files no slide takes, over all sources."""
    return int(session.exec(select(func.coalesce(func.sum(SourceRow.ignored), 0))).one())
