"""Reference cells: examples of each type and kind to compare a doubtful one with, the laboratory's own and shipped."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from sqlmodel import Session, col, select

from review.identity import GONE, shown_revision
from review.people import Person
from review.refusal import conflict, not_there
from smear import shipped
from smear.audit import append
from smear.kinds import KINDS, LABELS, shown
from smear.review_tables import LabelRow, ReferenceRow, UserRow
from smear.store import Store
from smear.tables import CellRow, SlideRow, key, utc_now


#: Shown at a time in the panel of a slide's page.
SHOWN: Final = 6
#: The laboratory's own on one page of the browser, the newest.
OWN_AT_MOST: Final = 200


@dataclass(frozen=True)
class ShippedCell:
    """A shipped reference cell: its file, type and kind, and the SHA-256 of the file."""

    path: Path
    label: str
    kind: str | None
    sha256: str


@dataclass(frozen=True)
class Example:
    """One example: where its picture is asked for, and whose it is (`by` and `slide` of the laboratory's own)."""

    url: str
    label: str
    kind: str | None
    own: bool
    by: str | None = None
    slide: int | None = None
    slide_name: str | None = None

    @property
    def name(self) -> str:
        """Type and kind in words."""
        return shown(self.label, self.kind)


@cache
def shipped_cells() -> dict[str, list[ShippedCell]]:
    """The shipped reference cells by type, in the order of their list; empty where they are not installed."""
    found: dict[str, list[ShippedCell]] = {label: [] for label in LABELS}
    try:
        root = shipped.folder("references")
        with (root / "metadata.csv").open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                cell = ShippedCell(root / row["file"], row["label"], row["kind"] or None, row["sha256"])
                found[cell.label].append(cell)
    except OSError:
        return found
    return found


def shipped_picture(digest: str) -> bytes:
    """The bytes of a shipped example by its SHA-256; raises Refused. The path is ours: the request is not in it."""
    for cells in shipped_cells().values():
        for cell in cells:
            if cell.sha256 == digest:
                return cell.path.read_bytes()
    raise not_there("reference cell")


def examples(session: Session, is_kept: Callable[[str], bool], label: str, kind: str | None = None) -> list[Example]:
    """All examples of a type, or of one of its kinds: the laboratory's own, newest first, then the shipped ones."""
    return _own(session, is_kept, label, kind, OWN_AT_MOST) + _shipped(label, kind)


def panel(session: Session, is_kept: Callable[[str], bool], label: str, kind: str | None = None) -> list[Example]:
    """SHOWN examples for the panel: own ones first; without a kind, the shipped ones of all kinds in turn."""
    found = _own(session, is_kept, label, kind, SHOWN)
    by_kind: dict[str | None, list[Example]] = {}
    for example in _shipped(label, kind) or _shipped(label, None):
        by_kind.setdefault(example.kind, []).append(example)
    for rank in range(SHOWN):
        found += [cells[rank] for cells in by_kind.values() if rank < len(cells)]
    return found[:SHOWN]


def kinds(session: Session, label: str) -> list[tuple[str, str, str, int]]:
    """(name, shown, key, examples) of each kind of a type; own ones count whether their picture is kept or not."""
    own = list(session.exec(select(ReferenceRow.kind).where(ReferenceRow.label == label)))
    theirs = [cell.kind for cell in shipped_cells().get(label, [])]
    return [(k.name, k.shown, k.key, own.count(k.name) + theirs.count(k.name)) for k in KINDS.get(label, ())]


def _shipped(label: str, kind: str | None) -> list[Example]:
    return [
        Example(f"/references/{cell.sha256}/picture", label, cell.kind, own=False)
        for cell in shipped_cells().get(label, [])
        if kind in (None, cell.kind)
    ]


def _own(session: Session, is_kept: Callable[[str], bool], label: str, kind: str | None, at_most: int) -> list[Example]:
    columns: list[Any] = [ReferenceRow, CellRow.sha256, CellRow.slide, SlideRow.slide_id, UserRow.full_name]
    query = (
        select(*columns)
        .join(CellRow, col(CellRow.id) == col(ReferenceRow.cell))
        .join(SlideRow, col(SlideRow.id) == col(CellRow.slide))
        .join(UserRow, col(UserRow.id) == col(ReferenceRow.user))
        .where(ReferenceRow.label == label)
        .order_by(col(ReferenceRow.id).desc())
        .limit(at_most)
    )
    if kind is not None:
        query = query.where(ReferenceRow.kind == kind)
    return [
        Example(f"/pictures/{sha256}", label, row.kind, own=True, by=by, slide=slide, slide_name=name)
        for row, sha256, slide, name, by in session.exec(query)
        if is_kept(sha256)
    ]


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
