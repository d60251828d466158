"""Remarks on a slide or on one of its cells."""

from typing import Final

from sqlmodel import Session, col, select

from review import slide as slides
from review.identity import shown_revision
from review.people import Person
from review.refusal import Refused, not_there
from review.words import typed
from smear.audit import append
from smear.review_tables import CommentRow, UserRow
from smear.store import Store
from smear.tables import PictureRow, key, utc_now


MAX_LENGTH: Final = 2000


def comment(
    store: Store, person: Person, slide: int, text: str, cell: int | None = None, identity: str | None = None
) -> None:
    """Add a remark to the revision of that identity, else to the latest. Raises Refused."""
    text = typed(text)
    if not 0 < len(text) <= MAX_LENGTH:
        raise Refused(422, f"A comment has 1 to {MAX_LENGTH} characters.")
    with store.write() as session:
        if identity is None:
            _, revision, _ = slides.find(session, slide)
        else:
            revision = shown_revision(session, slide, identity)
        if cell is not None:
            found = session.exec(
                select(PictureRow.id).where(PictureRow.revision == revision.id, PictureRow.cell == cell).limit(1)
            ).one_or_none()
            if found is None:
                raise not_there("cell on this slide")
        session.add(
            CommentRow(slide=slide, revision=key(revision.id), cell=cell, user=person.id, at=utc_now(), text=text)
        )
        append(
            session, person.actor, "comment", slide=slide, revision=key(revision.id), after={"text": text, "cell": cell}
        )


def comments(session: Session, slide: int) -> list[tuple[CommentRow, UserRow]]:
    """All remarks on a slide with who made them, newest first."""
    rows = session.exec(
        select(CommentRow, UserRow)
        .join(UserRow, col(UserRow.id) == col(CommentRow.user))
        .where(CommentRow.slide == slide)
        .order_by(col(CommentRow.id).desc())
        .limit(200)
    )
    return [(row, user) for row, user in rows]
