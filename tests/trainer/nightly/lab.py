"""A laboratory as the review page would have left it: signed slides, labelled cells, their pictures kept."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta

from sqlmodel import select

from smear.picture_store import PictureStore
from smear.review_tables import LabelRow, UserRow
from smear.store import Store
from smear.tables import CellRow, PictureRow, RevisionRow, SlideRow, SourceRow, key, utc_now


def person(store: Store, name: str = "maria") -> int:
    with store.write() as session:
        row = session.exec(select(UserRow).where(UserRow.name == name)).one_or_none()
        if row is None:
            row = UserRow(name=name, full_name=name.title(), role="technologist", password_hash="-",  # noqa: S106 - opens nothing
                          must_change=False, active=True, created_at=utc_now())  # fmt: skip
            session.add(row)
            session.flush()
        return key(row.id)


def signed_slide(
    store: Store,
    pictures: PictureStore,
    slide_id: str,
    cells: Sequence[tuple[bytes, str | None]],
    *,
    state: str = "signed",
    number: int = 1,
    user: int | None = None,
) -> int:
    """A slide of (picture's bytes, label or None) in that state; its row number."""
    user = person(store) if user is None else user
    with store.write() as session:
        source = session.exec(select(SourceRow).where(SourceRow.name == "default")).one_or_none()
        source = source or SourceRow(name="default", layout="slides", geometry="di60")
        session.add(source)
        session.flush()
        slide = session.exec(select(SlideRow).where(SlideRow.slide_id == slide_id)).one_or_none()
        slide = slide or SlideRow(
            source_id=key(source.id), slide_id=slide_id, folder=slide_id, first_seen_at=utc_now() - timedelta(hours=1)
        )
        session.add(slide)
        session.flush()
        revision = RevisionRow(slide=key(slide.id), number=number, state=state, arrived_at=utc_now())
        session.add(revision)
        session.flush()
        known = {c.sha256: c for c in session.exec(select(CellRow).where(CellRow.slide == slide.id))}
        for i, (data, label) in enumerate(cells):
            digest = hashlib.sha256(data).hexdigest()
            pictures.put(digest, data)
            cell = known.get(digest) or CellRow(slide=key(slide.id), sha256=digest)
            fresh = cell.id is None
            session.add(cell)
            session.flush()
            session.add(PictureRow(revision=key(revision.id), path=f"c{i:04}.jpg", cell=cell.id, size=len(data),
                                   mtime_ns=0, ctime_ns=0, inode="0"))  # fmt: skip
            if label is not None and fresh:
                session.add(LabelRow(cell=key(cell.id), label=label, user=user, at=utc_now(),
                                     revision=key(revision.id), version=1))  # fmt: skip
        return key(slide.id)
