"""The laboratory's signed labels: of each slide's latest revision, each content once, what people disagree on apart."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from sqlmodel import Session, col, select

from smear.cells import CELL_TYPES
from smear.nightly_tables import LabCellRow
from smear.review_tables import ChangeRow, LabelRow
from smear.tables import CellRow, PictureRow, RevisionRow, SlideRow, SourceRow, is_latest_revision, key


Role = Literal["learn", "judge"]

#: The share of slides that the laboratory's hold-out gets, by a hash of their names.
HOLDOUT_SHARE: Final = 0.25


@dataclass(frozen=True)
class Label:
    """One content that a person labelled and signed. `slide` is its slide's row, `name` what decides its role."""

    sha256: str
    label: str
    slide: int
    name: str
    geometry: str


@dataclass(frozen=True)
class Disagreement:
    """A content of which people say different things; it is listed, not learned. `slides` are rows of its slides."""

    sha256: str
    labels: tuple[str, ...]
    slides: tuple[int, ...]

    def as_json(self) -> dict[str, object]:
        """For the snapshot and the scorecard."""
        return {"sha256": self.sha256, "labels": list(self.labels), "slides": list(self.slides)}


def signed(session: Session) -> tuple[list[Label], list[Disagreement]]:
    """Every labelled content of the five on signed slides, in the order of contents, and the disagreements.

    A label counts while its slide's latest revision is signed; a cell that nobody labelled does not, since the
    model's own proposal would teach the model what it believes already.
    """
    rows = session.exec(
        select(CellRow, LabelRow, SlideRow, SourceRow)
        .join(LabelRow, col(LabelRow.cell) == col(CellRow.id))
        .join(SlideRow, col(SlideRow.id) == col(CellRow.slide))
        .join(SourceRow, col(SourceRow.id) == col(SlideRow.source_id))
        .join(RevisionRow, col(RevisionRow.slide) == col(SlideRow.id))
        .join(PictureRow, (col(PictureRow.revision) == col(RevisionRow.id)) & (col(PictureRow.cell) == col(CellRow.id)))
        .where(RevisionRow.state == "signed", is_latest_revision(), col(LabelRow.label).is_not(None))
        .order_by(col(CellRow.sha256), col(CellRow.id))
    ).all()
    said_before = _said(session)
    found: dict[str, list[Label]] = defaultdict(list)
    said: dict[str, set[str]] = defaultdict(set)
    for cell, label, slide, source in rows:
        found[cell.sha256].append(
            Label(cell.sha256, str(label.label), key(slide.id), f"{source.name}/{slide.slide_id}", source.geometry)
        )
        said[cell.sha256] |= {str(label.label)} | said_before.get(key(cell.id), set())
    disagreements = [
        Disagreement(sha256, tuple(sorted(words)), tuple(sorted({label.slide for label in found[sha256]})))
        for sha256, words in said.items()
        if len(words) > 1
    ]
    kept = [_first(labels) for sha256, labels in found.items() if len(said[sha256]) == 1]
    return [label for label in kept if label.label in CELL_TYPES], disagreements


def in_holdout(name: str) -> bool:
    """Whether the slide of that name (source/slide) belongs to the laboratory's hold-out: the same for ever."""
    digest = hashlib.sha256(f"hold-out {name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < HOLDOUT_SHARE * 2**64


def roles(session: Session, labels: Iterable[Label], night: str) -> dict[str, Role]:
    """What each content is for, decided once for ever: written for those that are new, read for the others."""
    known = {row.sha256: row.role for row in session.exec(select(LabCellRow))}
    decided: dict[str, Role] = {}
    for label in labels:
        role = known.get(label.sha256)
        if role is None:
            role = "judge" if in_holdout(label.name) else "learn"
            session.add(LabCellRow(sha256=label.sha256, role=role, night=night))
        decided[label.sha256] = "judge" if role == "judge" else "learn"
    return decided


def _first(labels: list[Label]) -> Label:
    """The same content on several slides: the hold-out's slide has it, so that it is never learned."""
    return min(labels, key=lambda label: (not in_holdout(label.name), label.slide))


def _said(session: Session) -> dict[int, set[str]]:
    """What each person last said of a cell, by cell, of those that more than one person has changed."""
    last: dict[int, dict[int, str | None]] = defaultdict(dict)
    rows = session.exec(select(ChangeRow).where(col(ChangeRow.undone).is_(False)).order_by(col(ChangeRow.id)))
    for row in rows:
        for told in row.after:
            last[int(told["cell"])][row.user] = told.get("label")
    return {cell: {word for word in by.values() if word is not None} for cell, by in last.items() if len(by) > 1}
