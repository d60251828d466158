"""What the database knows of a source's slides, as a watcher wants it: all at once when it begins, by and by later."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from sqlmodel import col, select

from smear.files import raw
from smear.store import Store
from smear.tables import RevisionRow, SlideRow, is_latest_revision, key, utc_now


#: States in which a slide waits for nothing but a change in its folder.
_FINISHED: Final = ("classified", "reviewed", "signed", "failed")
_BATCH: Final = 2000


class Verified:
    """Of each finished slide the signature under which nothing in it was new; None: it is left alone whatever comes.

    One entry a folder: a hundred thousand take some 25 MB. What is not here is asked of the database.
    """

    def __init__(self) -> None:
        self._signatures: dict[str, str | None] = {}

    def put(self, folder: str, signature: str | None) -> None:
        """Nothing in the folder is new under this signature."""
        self._signatures[folder] = signature

    def drop(self, folder: str) -> None:
        """The slide is under way again."""
        self._signatures.pop(folder, None)

    def holds(self, folder: str, signature: str) -> bool:
        """Whether a slide needs no look."""
        if folder not in self._signatures:
            return False
        known = self._signatures[folder]
        return known is None or (known == signature and signature != "")

    def __len__(self) -> int:
        return len(self._signatures)


def folder_signature(recorded: str) -> str:
    """A layout's own signature in what a revision keeps: that of a slide which was never read has more after a `#`."""
    return recorded.partition("#")[0]


def load_finished(store: Store, source: int, into: Verified) -> None:
    """Put every finished slide of a source into `into`. Columns, no objects: there may be hundreds of thousands."""
    query = (
        select(SlideRow.folder, RevisionRow.state, RevisionRow.signature)
        .join(RevisionRow, col(RevisionRow.slide) == col(SlideRow.id))
        .where(SlideRow.source_id == source, col(RevisionRow.state).in_((*_FINISHED, "listed")), is_latest_revision())
        .execution_options(yield_per=_BATCH)
    )
    with store.read() as session:
        for folder, state, signature in session.exec(query):
            if state == "listed":
                into.put(raw(folder), None)
            elif signature:
                into.put(raw(folder), folder_signature(signature))


def finished_after(
    store: Store, source: int, after: int, limit: int, younger_than: timedelta | None = None
) -> list[tuple[int, str, str]]:
    """(row, slide_id, folder) of finished slides in order of their rows, those after a row, at most `limit`."""
    query = (
        select(SlideRow.id, SlideRow.slide_id, SlideRow.folder)
        .join(RevisionRow, col(RevisionRow.slide) == col(SlideRow.id))
        .where(SlideRow.source_id == source, col(SlideRow.id) > after)
        .where(col(RevisionRow.state).in_(_FINISHED), is_latest_revision())
        .order_by(col(SlideRow.id))
        .limit(limit)
    )
    if younger_than is not None:
        since: datetime = utc_now() - younger_than
        query = query.where(col(RevisionRow.finished_at) > since)
    with store.read() as session:
        return [(key(row), slide_id, raw(folder)) for row, slide_id, folder in session.exec(query)]


def all_finished(store: Store, source: int) -> Iterator[tuple[str, str]]:
    """(slide_id, folder) of every finished slide, a page at a time: no reader is open while they are looked at."""
    after = 0
    while page := finished_after(store, source, after, _BATCH):
        for after, slide_id, folder in page:  # noqa: B007 - the last row is where the next page begins
            yield slide_id, folder
