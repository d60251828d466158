"""Reference cells: examples of each type to look at beside a doubtful one, shipped or the laboratory's own."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from sqlmodel import Session, col, select

from review.identity import GONE, shown_revision
from review.people import Person
from review.refusal import conflict, not_there
from smear import shipped
from smear.audit import append
from smear.cells import CELL_TYPES
from smear.files import sha256
from smear.kinds import shown
from smear.review_tables import LabelRow, ReferenceRow
from smear.store import Store
from smear.tables import CellRow, SlideRow, key, utc_now


#: Shown at a time for a type.
SHOWN: Final = 6


@dataclass(frozen=True)
class Example:
    """One example: where its picture is asked for, and whose it is."""

    url: str
    label: str
    kind: str | None
    own: bool


@cache
def shipped_examples() -> dict[str, dict[str, Path]]:
    """The shipped sample pictures by type and SHA-256, at most SHOWN a type; empty where they are not installed."""
    try:
        root = shipped.folder("samples")
        truth = json.loads((root / "truth.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    found: dict[str, dict[str, Path]] = {t: {} for t in CELL_TYPES}
    for slide, told in sorted(truth.items()):
        for name, cell_type in sorted(told["files"].items()):
            if cell_type in found and len(found[cell_type]) < SHOWN:
                path = root / slide / name
                found[cell_type][sha256(path.read_bytes())] = path
    return found


def shipped_picture(digest: str) -> bytes:
    """The bytes of a shipped example; raises Refused. The path is ours: nothing of the request is in it."""
    for of_type in shipped_examples().values():
        if digest in of_type:
            return of_type[digest].read_bytes()
    raise not_there("reference cell")


def examples(session: Session, label: str) -> list[Example]:
    """Examples of a type: the laboratory's own first, then the shipped ones."""
    own = session.exec(
        select(ReferenceRow, CellRow.sha256)
        .join(CellRow, col(CellRow.id) == col(ReferenceRow.cell))
        .where(ReferenceRow.label == label)
        .order_by(col(ReferenceRow.id).desc())
        .limit(SHOWN)
    )
    found = [Example(f"/pictures/{digest}", label, row.kind, own=True) for row, digest in own]
    theirs = shipped_examples().get(label, {})
    found += [Example(f"/references/{digest}/picture", label, None, own=False) for digest in theirs]
    return found[:SHOWN]


def mark(store: Store, person: Person, cell: int, *, wanted: bool, identity: str | None = None) -> None:
    """Make a cell that a person has labelled a reference cell, or no longer. Raises Refused.

    `identity` is that of a revision of the cell's slide.
    """
    with store.write() as session:
        found = session.exec(
            select(CellRow, SlideRow).join(SlideRow, col(SlideRow.id) == col(CellRow.slide)).where(CellRow.id == cell)
        ).one_or_none()
        if found is None:
            raise not_there("cell") if identity is None else conflict(GONE)
        if identity is not None:
            shown_revision(session, key(found[1].id), identity)
        row = session.exec(select(ReferenceRow).where(ReferenceRow.cell == cell)).one_or_none()
        label = session.exec(select(LabelRow).where(LabelRow.cell == cell)).one_or_none()
        if wanted and (label is None or label.label is None):
            raise conflict("Label this cell first: a reference cell is one that a person has named.")
        if wanted and label is not None and label.label is not None:
            row = row or ReferenceRow(cell=cell, label="", user=person.id, at=utc_now())
            row.label, row.kind = label.label, label.kind
            session.add(row)
            what = shown(label.label, label.kind)
        elif row is not None:
            what = shown(row.label, row.kind)
            session.delete(row)
        else:
            return
        append(
            session, person.actor, "mark reference" if wanted else "unmark reference", slide=key(found[1].id),
            after={"sha256": found[0].sha256, "label": what},
        )  # fmt: skip
