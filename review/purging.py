"""Letting pictures go: the old ones by themselves, those of labelled and reference cells only when a person says so."""

from collections.abc import Collection

from sqlmodel import col, select

from review import slide as slides
from smear.audit import CONSOLE, Actor, append
from smear.picture_store import PictureStore
from smear.review_tables import LabelRow, ReferenceRow
from smear.settings import Settings
from smear.store import Store
from smear.tables import CellRow, PictureRow, key


#: Placeholders that a statement may have; SQLite's limit is far above.
_AT_ONCE = 500


def labelled(store: Store, digests: Collection[str]) -> set[str]:
    """Those of these pictures that a labelled or a reference cell shows."""
    found: set[str] = set()
    wanted = list(digests)
    with store.read() as session:
        for start in range(0, len(wanted), _AT_ONCE):
            some = col(CellRow.sha256).in_(wanted[start : start + _AT_ONCE])
            found |= set(
                session.exec(
                    select(CellRow.sha256)
                    .join(LabelRow, col(LabelRow.cell) == col(CellRow.id))
                    .where(some, col(LabelRow.label).is_not(None))
                )
            )
            found |= set(
                session.exec(
                    select(CellRow.sha256).join(ReferenceRow, col(ReferenceRow.cell) == col(CellRow.id)).where(some)
                )
            )
    return found


def purge_old(store: Store, settings: Settings) -> int:
    """Delete what is older than `keep_pictures_days` and shows no labelled cell; how many pictures that were."""
    pictures = PictureStore(settings.pictures_folder)
    purged = pictures.purge(settings.keep_pictures_days, lambda digests: labelled(store, digests))
    if purged:
        with store.write() as session:
            append(session, Actor(None, "page", "program"), "purge pictures", after={"pictures": purged},
                   reason=f"older than {settings.keep_pictures_days:g} days")  # fmt: skip
    return purged


def purge_slide(store: Store, settings: Settings, slide: int, reason: str, by: Actor = CONSOLE) -> int:
    """Delete all pictures of a slide, labelled or not, because a person says so; how many. Raises Refused."""
    pictures = PictureStore(settings.pictures_folder)
    with store.write() as session:
        row, _, _ = slides.find(session, slide)
        digests = session.exec(
            select(CellRow.sha256)
            .join(PictureRow, col(PictureRow.cell) == col(CellRow.id))
            .where(CellRow.slide == slide)
            .distinct()
        ).all()
        # The same bytes may be another slide's cell too; that one keeps them.
        elsewhere = set(
            session.exec(select(CellRow.sha256).where(col(CellRow.sha256).in_(digests), CellRow.slide != slide))
        )
        purged = sum(pictures.delete(digest) for digest in digests if digest not in elsewhere)
        append(session, by, "purge pictures", slide=key(row.id), after={"pictures": purged}, reason=reason)
    return purged
