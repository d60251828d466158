"""A failed slide again: it goes back to the outbox, and the watcher hands it to a worker."""

from sqlalchemy import CursorResult
from sqlmodel import col, update

from review import slide as slides
from review.people import Person
from review.refusal import conflict
from smear.audit import append
from smear.store import Store
from smear.tables import RevisionRow, key


def retry(store: Store, person: Person, slide: int, identity: str | None = None) -> None:
    """Queue the latest revision again if it has failed. Raises Refused."""
    with store.write() as session:
        revision = slides.latest_to_write(session, slide, identity=identity)
        done = session.execute(
            update(RevisionRow)
            .where(col(RevisionRow.id) == revision.id, col(RevisionRow.state) == "failed")
            # A new token fences off whoever still works on the old attempt.
            .values(
                state="queued", reason=None, finished_at=None, attempts=0, claimed_by=None, published_at=None,
                token=col(RevisionRow.token) + 1,
            )
        )  # fmt: skip
        assert isinstance(done, CursorResult)
        if done.rowcount != 1:
            raise conflict(f"This slide is {revision.state}: only a failed one is tried again.")
        append(
            session, person.actor, "retry", slide=slide, revision=key(revision.id), before={"state": "failed"},
            after={"state": "queued"}, reason=revision.reason,
        )  # fmt: skip
