"""Contents that end whoever decodes them: suspected after one death alone, kept out after two, let go by a person.

By content: the same bytes under another name, on another slide, do not kill again.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import case, delete, func
from sqlmodel import Session, col, select

from smear.files import raw
from smear.store import Store
from smear.tables import (
    CellRow,
    PictureRow,
    RevisionRow,
    SlideRow,
    SourceRow,
    SuspectRow,
    is_latest_revision,
    key,
    utc_now,
)
from smear.upsert import inserting


#: Deaths alone that it takes. One may be chance: somebody pulled a plug just then.
DEATHS: Final = 2
#: Digits of a content that are enough to name it on a command line.
MIN_DIGITS: Final = 6


@dataclass(frozen=True)
class Suspects:
    """What a claim must know: contents nobody may decode, and contents that were alone in one death."""

    quarantined: frozenset[str]
    suspected: frozenset[str]


@dataclass(frozen=True)
class Entry:
    """One content in quarantine, and every place where the latest revision of a slide holds it."""

    sha256: str
    deaths: int
    ended: str
    quarantined_at: datetime
    places: tuple[tuple[str, str, str], ...]  # (source, slide_id, path)

    def to_object(self) -> dict[str, Any]:
        """As `worker quarantine --json` prints it."""
        return {
            "sha256": self.sha256,
            "deaths": self.deaths,
            "ended": self.ended,
            "quarantined_at": self.quarantined_at.isoformat(),
            "places": [{"source": s, "slide_id": i, "file": p} for s, i, p in self.places],
        }


def suspects(store: Store) -> Suspects:
    """As of now."""
    with store.read() as session:
        rows = session.exec(select(SuspectRow.sha256, SuspectRow.quarantined_at)).all()
    return Suspects(
        frozenset(content for content, at in rows if at is not None),
        frozenset(content for content, at in rows if at is None),
    )


def count_death(session: Session, sha256: str, revision: int, ended: str) -> bool:
    """A worker died with this content alone in its hands; whether it is in quarantine now."""
    insert = inserting(session, SuspectRow).values(
        sha256=sha256, deaths=1, ended=ended, revision=revision, since=utc_now(), quarantined_at=None
    )
    deaths = col(SuspectRow.deaths) + 1
    session.execute(
        insert.on_conflict_do_update(
            index_elements=["sha256"],
            set_={
                "deaths": deaths,
                "ended": ended,
                "revision": revision,
                "quarantined_at": case(
                    (deaths >= DEATHS, func.coalesce(col(SuspectRow.quarantined_at), insert.excluded.since)),
                    else_=None,
                ),
            },
        )
    )
    at = session.exec(select(SuspectRow.quarantined_at).where(SuspectRow.sha256 == sha256)).one()
    return at is not None


def acquit(store: Store, sha256: str) -> None:
    """It was decoded and classified alone and nothing happened: the death before was not its doing."""
    with store.write() as session:
        session.execute(
            delete(SuspectRow).where(col(SuspectRow.sha256) == sha256, col(SuspectRow.quarantined_at).is_(None))
        )


def in_quarantine(store: Store) -> int:
    """How many contents are in quarantine."""
    with store.read() as session:
        counted = select(func.count()).select_from(SuspectRow).where(col(SuspectRow.quarantined_at).is_not(None))
        return int(session.exec(counted).one())


def entries(store: Store, digits: str = "") -> list[Entry]:
    """What is in quarantine, oldest first: all, or whose content begins with these digits."""
    with store.read() as session:
        rows = session.exec(
            select(SuspectRow)
            .where(
                col(SuspectRow.quarantined_at).is_not(None),
                col(SuspectRow.sha256).startswith(digits.lower(), autoescape=True),
            )
            .order_by(col(SuspectRow.quarantined_at), col(SuspectRow.sha256))
        ).all()
        places = _places(session, [row.sha256 for row in rows])
    return [
        Entry(row.sha256, row.deaths, row.ended, row.quarantined_at, tuple(places.get(row.sha256, ())))
        for row in rows
        if row.quarantined_at is not None
    ]


def _places(session: Session, contents: Iterable[str]) -> dict[str, list[tuple[str, str, str]]]:
    rows = session.exec(
        select(CellRow.sha256, SourceRow.name, SlideRow.slide_id, PictureRow.path)
        .join(SlideRow, col(SlideRow.id) == col(CellRow.slide))
        .join(SourceRow, col(SourceRow.id) == col(SlideRow.source_id))
        .join(PictureRow, col(PictureRow.cell) == col(CellRow.id))
        .join(RevisionRow, col(RevisionRow.id) == col(PictureRow.revision))
        .where(col(CellRow.sha256).in_(list(contents)), is_latest_revision())
        .order_by(col(SlideRow.id), col(PictureRow.path))
    )
    found: dict[str, list[tuple[str, str, str]]] = {}
    for content, *place in rows:
        found.setdefault(content, []).append((place[0], place[1], place[2]))
    return found


@dataclass(frozen=True)
class Holder:
    """A revision that holds a content, and where its slide lies."""

    revision: int
    source: str
    folder: str


def let_go(session: Session, contents: Iterable[str]) -> None:
    """Take contents out of quarantine."""
    session.execute(delete(SuspectRow).where(col(SuspectRow.sha256).in_(list(contents))))


def holders(store: Store, contents: Iterable[str]) -> list[Holder]:
    """The latest revisions that hold one of these contents."""
    with store.read() as session:
        rows = session.exec(
            select(RevisionRow.id, SourceRow.name, SlideRow.folder)
            .join(SlideRow, col(SlideRow.id) == col(RevisionRow.slide))
            .join(SourceRow, col(SourceRow.id) == col(SlideRow.source_id))
            .join(PictureRow, col(PictureRow.revision) == col(RevisionRow.id))
            .join(CellRow, col(CellRow.id) == col(PictureRow.cell))
            .where(col(CellRow.sha256).in_(list(contents)), is_latest_revision())
            .distinct()
            .order_by(col(RevisionRow.id))
        )
        return [Holder(key(revision), source, raw(folder)) for revision, source, folder in rows]
