"""What the board says of gaps, from rows alone: files that no slide takes, pictures that could not be kept."""

from dataclasses import dataclass

from sqlmodel import Session, col, select

from smear.gaps import ignored_total, pictures_not_kept
from smear.tables import IgnoredFileRow, SourceRow


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
    slides, pictures = pictures_not_kept(session)
    if pictures:
        found.append(
            Notice(
                f"{_counted(pictures, 'picture')} of {_counted(slides, 'slide')} could not be kept "
                "and cannot be shown. The command “worker doctor” says what is wrong with the folder they are kept in.",
                alarming=True,
            )
        )
    if ignored := ignored_total(session):
        found.append(Notice(f"{_counted(ignored, 'file')} ignored", "/ignored"))
    return found


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
