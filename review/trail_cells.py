"""The cells of an audit line as its page shows them: picture, number on the slide, and from what to what."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from sqlmodel import Session, col, select

from smear.kinds import OUTSIDE, shown
from smear.review_tables import AuditRow
from smear.tables import BundleRow, CellRow, PictureRow, PredictionRow, RevisionRow, key


#: Cells shown in a line of the list; the rest stands on the line's own page.
IN_A_LIST: Final = 24
#: Placeholders that a statement may have; SQLite's limit is far above.
_AT_ONCE: Final = 500
_PROPOSAL: Final = shown(None)


@dataclass(frozen=True)
class AuditedCell:
    """A cell that a line names. `number` is that on the slide then; `picture` is None where it is no longer kept."""

    sha256: str
    number: int | None
    picture: str | None
    slide_url: str | None

    @property
    def name(self) -> str:
        """As captions and alternative texts name it."""
        return f"cell {self.number}" if self.number is not None else f"cell {self.sha256[:8]}"


@dataclass
class Move:
    """Cells that one act moved from the same to the same; `old` is None where the line tells of no change."""

    old: str | None
    new: str
    cells: list[AuditedCell] = field(default_factory=list)


@dataclass(frozen=True)
class _Named:
    """One cell in a line: its content, and (label, kind) before and after."""

    sha256: str
    old: tuple[str | None, str | None] | None
    new: tuple[str | None, str | None]


def count(row: AuditRow) -> int:
    """How many cells a line moved or marked."""
    return len(_named(row))


def moves(
    session: Session, rows: Collection[AuditRow], is_kept: Callable[[str], bool], cells: slice
) -> dict[int, list[Move]]:
    """By line: the cells of that slice, grouped by what they were and became, in the line's order."""
    named = {row.number: _named(row)[cells] for row in rows}
    known = _Known(session, [row for row in rows if named[row.number]], {c.sha256 for n in named.values() for c in n})
    found: dict[int, list[Move]] = {}
    for row in rows:
        groups: dict[tuple[str | None, str], Move] = {}
        for cell in named[row.number]:
            old = None if cell.old is None else known.words(row, cell.sha256, *cell.old)
            new = known.words(row, cell.sha256, *cell.new)
            groups.setdefault((old, new), Move(old, new)).cells.append(known.cell(row, cell.sha256, is_kept))
        found[row.number] = list(groups.values())
    return found


def _named(row: AuditRow) -> list[_Named]:
    before, after = row.before or {}, row.after or {}
    if isinstance(after.get("cells"), list):
        old = {told["sha256"]: (told["label"], told["kind"]) for told in before.get("cells", [])}
        return [_Named(t["sha256"], old.get(t["sha256"]), (t["label"], t["kind"])) for t in after["cells"]]
    if "sha256" in after and row.slide is not None:  # a reference cell: its label is in words already
        return [_Named(after["sha256"], None, (str(after.get("label")), None))]
    return []


class _Known:
    """What the rows say of the cells that are shown, asked for all lines of a page at once."""

    def __init__(self, session: Session, rows: Collection[AuditRow], contents: Collection[str]) -> None:
        slides = {row.slide for row in rows if row.slide is not None}
        self._cells: dict[tuple[int, str], int] = {}
        for some in _parts(sorted(contents)):
            query = select(CellRow.slide, CellRow.sha256, CellRow.id).where(
                col(CellRow.slide).in_(slides), col(CellRow.sha256).in_(some)
            )
            self._cells |= {(slide, sha256): key(cell) for slide, sha256, cell in session.exec(query)}
        self._numbers, self._revisions = _numbers(session, {r.revision for r in rows if r.revision is not None})
        self._proposals = _proposals(session, self._cells.values(), {r.bundle for r in rows if r.bundle is not None})

    def words(self, row: AuditRow, sha256: str, label: str | None, kind: str | None) -> str:
        """A label in words; of none, the proposal that the model of that line made."""
        if label is not None:
            return shown(label, kind)
        cell = self._cells.get((row.slide or 0, sha256))
        proposal = self._proposals.get((cell, row.bundle))
        return _PROPOSAL if proposal is None else f"{proposal} ({_PROPOSAL})"

    def cell(self, row: AuditRow, sha256: str, is_kept: Callable[[str], bool]) -> AuditedCell:
        """The cell with its number, its picture and its place on the slide's page, as far as they are there."""
        cell = self._cells.get((row.slide or 0, sha256))
        if cell is None:
            return AuditedCell(sha256, None, None, None)
        revision = self._revisions.get(row.revision or 0)
        there = f"/slides/{row.slide}" + (f"?revision={revision}" if revision is not None else "")
        picture = f"/pictures/{sha256}" if is_kept(sha256) else None
        return AuditedCell(sha256, self._numbers.get((row.revision or 0, cell)), picture, f"{there}#c{cell}")


def _numbers(session: Session, revisions: Collection[int]) -> tuple[dict[tuple[int, int], int], dict[int, int]]:
    """By (revision, cell): the number it is shown with; by revision: its own number."""
    numbers: dict[tuple[int, int], int] = {}
    seen: dict[int, int] = {}
    for some in _parts(sorted(revisions)):
        query = (
            select(PictureRow.revision, PictureRow.cell)
            .where(col(PictureRow.revision).in_(some), col(PictureRow.cell).is_not(None))
            .order_by(col(PictureRow.revision), col(PictureRow.path))
        )
        for revision, cell in session.exec(query):
            if (revision, key(cell)) not in numbers:
                seen[revision] = numbers[revision, key(cell)] = seen.get(revision, 0) + 1
    rows = session.exec(select(RevisionRow.id, RevisionRow.number).where(col(RevisionRow.id).in_(revisions)))
    return numbers, {key(revision): number for revision, number in rows}


def _proposals(
    session: Session, cells: Iterable[int], bundles: Collection[str]
) -> dict[tuple[int | None, str | None], str]:
    """By (cell, bundle's name): what that model proposed, in words; only of cells that it classified."""
    found: dict[tuple[int | None, str | None], str] = {}
    for some in _parts(sorted(cells)):
        columns: list[Any] = [PredictionRow.cell, BundleRow.bundle_id, PredictionRow.state, PredictionRow.cell_type]
        rows = session.exec(
            select(*columns)
            .join(BundleRow, col(BundleRow.id) == col(PredictionRow.bundle))
            .where(col(PredictionRow.cell).in_(some), col(BundleRow.bundle_id).in_(bundles))
        )
        for cell, bundle, state, cell_type in rows:
            label = cell_type if state == "classified" else OUTSIDE if state == "outside" else None
            if label is not None:
                found[cell, bundle] = shown(label)
    return found


def _parts(of: list[Any]) -> Iterable[list[Any]]:
    return (of[at : at + _AT_ONCE] for at in range(0, len(of), _AT_ONCE))
