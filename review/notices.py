"""What the board says of gaps, told from rows alone: files that no slide takes, pictures that could not be kept."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import func
from sqlmodel import Session, col, select

from smear.tables import IgnoredFileRow, RevisionRow, SourceRow, utc_now


#: Pictures that could not be kept are news for this long; those whose source still has them are filled in before.
RECENT: Final = timedelta(days=7)


@dataclass(frozen=True)
class Notice:
    """A banner: its words, and the page that shows more of it, or None. `alarming` asks a person to act."""

    words: str
    href: str | None = None
    alarming: bool = False


@dataclass(frozen=True)
class IgnoredFile:
    """A file that no slide takes, its source, and why."""

    source: str
    row: IgnoredFileRow


def notices(session: Session) -> list[Notice]:
    """The banners of the board, the alarming one first."""
    found = []
    slides, pictures = session.exec(
        select(func.count(), func.coalesce(func.sum(RevisionRow.not_kept), 0)).where(
            col(RevisionRow.not_kept) > 0, col(RevisionRow.finished_at) >= utc_now() - RECENT
        )
    ).one()
    if pictures:
        found.append(
            Notice(
                f"{_counted(int(pictures), 'picture')} of {_counted(int(slides), 'slide')} could not be kept "
                "and cannot be shown. The command “worker doctor” says what is wrong with the folder they are kept in.",
                alarming=True,
            )
        )
    if ignored := ignored_total(session):
        found.append(Notice(f"{_counted(ignored, 'file')} ignored", "/ignored"))
    return found


def ignored_total(session: Session) -> int:
    """How many files no slide takes, over all sources."""
    return int(session.exec(select(func.coalesce(func.sum(SourceRow.ignored), 0))).one())


def ignored_files(session: Session) -> list[IgnoredFile]:
    """The files that are named, by source and path."""
    rows = session.exec(
        select(SourceRow.name, IgnoredFileRow)
        .join(IgnoredFileRow, col(IgnoredFileRow.source) == col(SourceRow.id))
        .order_by(col(SourceRow.name), col(IgnoredFileRow.path))
    )
    return [IgnoredFile(source, row) for source, row in rows]


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' if n != 1 else ''}"
