"""Labelling: a person says what cells are, takes it back, does it again. Nobody's change is lost without a word.

Whoever changes names the version he has seen. Cells that somebody else changed since make the whole change refused, in
words and with what is there now; other people's changes to other cells do not stand in the way.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, update
from sqlmodel import Session, col, select

from review import slide as slides
from review.people import Person
from review.refusal import Refused, conflict, not_there
from smear.audit import append
from smear.kinds import LABELS, is_kind, shown
from smear.review_tables import ChangeRow, LabelRow, ReviewRow, UserRow
from smear.store import Store
from smear.tables import BundleRow, CellRow, DifferentialRow, PictureRow, RevisionRow, by_standing, key, utc_now


#: As many cells as one act may change.
MAX_CELLS = 2000


def relabel(
    store: Store,
    person: Person,
    slide: int,
    *,
    cells: Sequence[int],
    label: str | None,
    kind: str | None,
    seen_version: int,
    seen_revision: int | None = None,
    versions: dict[str, Any] | None = None,
    identity: str | None = None,
) -> int:
    """Give cells a label (None: the model's proposal again); the review's new version. Raises Refused.

    `versions` are those of what the person was shown, for the audit.
    """
    if label is not None and label not in LABELS:
        raise Refused(422, f"There is no type {label}.")
    if not is_kind(label or "", kind):
        raise Refused(422, f"{shown(label).capitalize()} has no kind {kind}.")
    wanted = list(dict.fromkeys(cells))
    if not 0 < len(wanted) <= MAX_CELLS:
        raise Refused(422, f"Choose between 1 and {MAX_CELLS} cells.")
    with store.write() as session:
        revision, review = open_review(session, slide, seen_revision, identity)
        cell_numbers = numbers(session, key(revision.id))
        if any(cell not in cell_numbers for cell in wanted):
            raise not_there("cell on this slide")
        before = _labels(session, wanted)
        _refuse_stale(session, key(revision.id), before, cell_numbers, seen_version, person)
        old = [_as_told(cell, before.get(cell)) for cell in wanted]
        new = [{"cell": cell, "label": label, "kind": kind if label is not None else None} for cell in wanted]
        changed = [(o, n) for o, n in zip(old, new, strict=True) if o != n]
        if not changed:
            return review.version
        _begin(session, person, revision, review)
        session.execute(
            update(ChangeRow)
            .where(col(ChangeRow.revision) == revision.id, col(ChangeRow.user) == person.id,
                   col(ChangeRow.undone).is_(True))
            .values(gone=True)
        )  # fmt: skip
        session.add(
            ChangeRow(
                revision=key(revision.id), user=person.id, at=utc_now(),
                before=[o for o, _ in changed], after=[n for _, n in changed],
            )
        )  # fmt: skip
        _apply(session, person, revision, review, [o for o, _ in changed], [n for _, n in changed], "label", versions)
        return review.version


def undo(
    store: Store,
    person: Person,
    slide: int,
    seen_revision: int | None = None,
    versions: dict[str, Any] | None = None,
    identity: str | None = None,
) -> int:
    """Take back this person's latest change of this slide; the new version. Raises Refused."""
    return _turn_back(store, person, slide, seen_revision, versions, identity, undoing=True)


def redo(
    store: Store,
    person: Person,
    slide: int,
    seen_revision: int | None = None,
    versions: dict[str, Any] | None = None,
    identity: str | None = None,
) -> int:
    """Do again what this person last took back; the new version. Raises Refused."""
    return _turn_back(store, person, slide, seen_revision, versions, identity, undoing=False)


def steps(session: Session, person: Person, revision: int) -> tuple[int, int]:
    """How many changes this person can take back, and how many do again."""
    rows = session.exec(
        select(ChangeRow.undone, func.count())
        .where(ChangeRow.revision == revision, ChangeRow.user == person.id, col(ChangeRow.gone).is_(False))
        .group_by(col(ChangeRow.undone))
    )
    counted = {undone: int(n) for undone, n in rows}
    return counted.get(False, 0), counted.get(True, 0)


def changes_since(session: Session, revision: int, version: int) -> list[dict[str, Any]]:
    """What was changed after a version: {cell, label, kind, by}, as it is now."""
    rows = session.exec(
        select(LabelRow, UserRow)
        .join(UserRow, col(UserRow.id) == col(LabelRow.user))
        .where(LabelRow.revision == revision, LabelRow.version > version)
        .order_by(col(LabelRow.cell))
    )
    return [_as_told(row.cell, row) | {"by": user.full_name} for row, user in rows]


def open_review(
    session: Session, slide: int, seen_revision: int | None = None, identity: str | None = None
) -> tuple[RevisionRow, ReviewRow]:
    """The latest revision and its review, to be written to. Raises Refused where it is not open, or not that one."""
    revision = slides.latest_to_write(session, slide, seen_revision, identity)
    if revision.state == "signed":
        raise conflict("This slide is signed and locked. To change it, amend it with a reason.")
    if revision.state not in slides.OPEN:
        raise conflict(f"This slide is {revision.state}: there is nothing to review yet.")
    review = slides.review_of(session, key(revision.id))
    if review.id is None:
        session.add(review)
        session.flush()
    return revision, review


def _turn_back(
    store: Store,
    person: Person,
    slide: int,
    seen_revision: int | None,
    versions: dict[str, Any] | None,
    identity: str | None,
    *,
    undoing: bool,
) -> int:
    with store.write() as session:
        revision, review = open_review(session, slide, seen_revision, identity)
        order = col(ChangeRow.id).desc() if undoing else col(ChangeRow.id)
        change = session.exec(
            select(ChangeRow)
            .where(
                ChangeRow.revision == revision.id,
                ChangeRow.user == person.id,
                ChangeRow.undone == (not undoing),
                col(ChangeRow.gone).is_(False),
            )
            .order_by(order)
            .limit(1)
        ).one_or_none()
        if change is None:
            raise conflict(f"There is nothing of yours to {'undo' if undoing else 'redo'} here.")
        now, then = (change.after, change.before) if undoing else (change.before, change.after)
        there = _labels(session, [told["cell"] for told in now])
        moved = [told["cell"] for told in now if _as_told(told["cell"], there.get(told["cell"])) != told]
        if moved:
            cell_numbers = numbers(session, key(revision.id))
            row = there.get(moved[0])
            who = session.get_one(UserRow, row.user).full_name if row is not None else "Somebody"
            raise conflict(
                f"{who} has changed {_named(moved, cell_numbers)} since; nothing was changed. Look, and decide anew."
            )
        _begin(session, person, revision, review)
        change.undone = undoing
        session.add(change)
        _apply(session, person, revision, review, now, then, "undo" if undoing else "redo", versions)
        return review.version


def _begin(session: Session, person: Person, revision: RevisionRow, review: ReviewRow) -> None:
    review.version += 1
    review.held_by, review.held_at = person.id, utc_now()
    revision.state = "reviewed"
    session.add(review)
    session.add(revision)


def _apply(
    session: Session,
    person: Person,
    revision: RevisionRow,
    review: ReviewRow,
    old: list[dict[str, Any]],
    new: list[dict[str, Any]],
    action: str,
    versions: dict[str, Any] | None,
) -> None:
    there = _labels(session, [told["cell"] for told in new])
    now = utc_now()
    for told in new:
        row = there.get(told["cell"]) or LabelRow(
            cell=told["cell"], user=person.id, at=now, revision=key(revision.id), version=0
        )
        row.label, row.kind, row.user, row.at = told["label"], told["kind"], person.id, now
        row.revision, row.version = key(revision.id), review.version
        session.add(row)
    digests = dict(
        session.exec(
            select(CellRow.id, CellRow.sha256).where(col(CellRow.id).in_([told["cell"] for told in new]))
        ).all()
    )

    def audited(rows: list[dict[str, Any]]) -> dict[str, Any]:
        return {"cells": [{"sha256": digests[r["cell"]], "label": r["label"], "kind": r["kind"]} for r in rows]}

    append(
        session,
        person.actor,
        action,
        slide=revision.slide,
        revision=key(revision.id),
        before=audited(old),
        after=audited(new),
        bundle=bundle_of(session, key(revision.id)),
        versions=versions,
    )


def bundle_of(session: Session, revision: int) -> str | None:
    """The bundle whose proposals a revision shows."""
    return session.exec(
        select(BundleRow.bundle_id)
        .join(DifferentialRow, col(DifferentialRow.bundle) == col(BundleRow.id))
        .where(DifferentialRow.revision == revision)
        .order_by(*(column.desc() for column in by_standing()))
        .limit(1)
    ).one_or_none()


def numbers(session: Session, revision: int) -> dict[int, int]:
    """The cells of a revision with the numbers they are shown with."""
    rows = session.exec(
        select(PictureRow.cell)
        .where(PictureRow.revision == revision, col(PictureRow.cell).is_not(None))
        .order_by(col(PictureRow.path))
    )
    return {key(cell): number for number, cell in enumerate(dict.fromkeys(rows), start=1)}


def _labels(session: Session, cells: Sequence[int]) -> dict[int, LabelRow]:
    return {row.cell: row for row in session.exec(select(LabelRow).where(col(LabelRow.cell).in_(cells)))}


def _as_told(cell: int, row: LabelRow | None) -> dict[str, Any]:
    return {"cell": cell, "label": row.label if row else None, "kind": row.kind if row and row.label else None}


def _refuse_stale(
    session: Session,
    revision: int,
    there: dict[int, LabelRow],
    cell_numbers: dict[int, int],
    seen_version: int,
    person: Person,
) -> None:
    newer = [r for r in there.values() if r.revision == revision and r.version > seen_version and r.user != person.id]
    if not newer:
        return
    first = newer[0]
    who = session.get_one(UserRow, first.user).full_name
    what = f" ({shown(first.label, first.kind)})" if len(newer) == 1 else ""
    raise conflict(
        f"{who} changed {_named([r.cell for r in newer], cell_numbers)}{what} before you. "
        "Your change was not made: look at what is there now, and decide anew."
    )


def _named(cells: Sequence[int], cell_numbers: dict[int, int]) -> str:
    if len(cells) == 1:
        return f"cell {cell_numbers.get(cells[0], '?')}"
    return f"{len(cells)} of these cells"
