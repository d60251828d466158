"""Writing a slide's result: one transaction, under the claim's token, and harmless when done twice."""

from typing import Any

from sqlalchemy import func, update
from sqlmodel import Session, col, select

from smear.store import Store
from smear.tables import (
    BundleRow,
    CellRow,
    DifferentialRow,
    PictureRow,
    PredictionRow,
    RevisionRow,
    key,
    utc_now,
)
from worker.classify import Cell, SlideResult
from worker.ledger import Claim, Fenced


def record(store: Store, claim: Claim, result: SlideResult, signature: str) -> None:
    """Store pictures, cells, predictions and differential, and end the claim; raises Fenced and writes nothing
    where the claim was taken back. `signature` is the folder's, from before it was read.
    """
    with store.write() as session:
        ended = session.execute(
            update(RevisionRow)
            .where(col(RevisionRow.id) == claim.revision, col(RevisionRow.token) == claim.token)
            .values(
                state="failed" if result.failure else "classified",
                reason=result.failure,
                claimed_by=None,
                finished_at=func.coalesce(col(RevisionRow.finished_at), utc_now()),
                signature=signature,
            )
        )
        if ended.rowcount != 1:  # type: ignore[attr-defined]
            raise Fenced(f"revision {claim.revision}")
        bundle = session.exec(select(BundleRow).where(BundleRow.bundle_id == result.bundle_id)).one()
        cells = _cells(session, claim.slide, result)
        _pictures(session, claim.revision, result, cells)
        _predictions(session, claim.slide, key(bundle.id), result, cells)
        _differential(session, claim.revision, key(bundle.id), result)


def _cells(session: Session, slide: int, result: SlideResult) -> dict[str, int]:
    """Row number of every content of the slide, by SHA-256."""
    there = {c.sha256: key(c.id) for c in session.exec(select(CellRow).where(CellRow.slide == slide))}
    new = [CellRow(slide=slide, sha256=c.sha256) for c in result.cells if c.sha256 and c.sha256 not in there]
    session.add_all(new)
    session.flush()
    return there | {c.sha256: key(c.id) for c in new}


def _pictures(session: Session, revision: int, result: SlideResult, cells: dict[str, int]) -> None:
    there = {p.path: p for p in session.exec(select(PictureRow).where(PictureRow.revision == revision))}
    for picture, cell in result.files:
        row = there.pop(picture.path, None) or PictureRow(
            revision=revision, path=picture.path, size=0, mtime_ns=0, ctime_ns=0, inode=""
        )
        row.cell = cells[cell.sha256] if cell.sha256 else None
        row.problem = cell.problem
        row.analyser_class = picture.analyser_class
        row.size, row.mtime_ns, row.ctime_ns = picture.stat.size, picture.stat.mtime_ns, picture.stat.ctime_ns
        row.inode = str(picture.stat.inode)
        session.add(row)
    # An earlier attempt at this revision may have seen a file that has gone since.
    for gone in there.values():
        session.delete(gone)


def _predictions(session: Session, slide: int, bundle: int, result: SlideResult, cells: dict[str, int]) -> None:
    wanted = {cells[c.sha256]: c for c in result.cells if c.sha256}
    of_slide = select(CellRow.id).where(CellRow.slide == slide)
    rows = session.exec(
        select(PredictionRow).where(PredictionRow.bundle == bundle, col(PredictionRow.cell).in_(of_slide))
    )
    there = {row.cell: row for row in rows}
    for number, cell in wanted.items():
        session.add(_fill(there.get(number) or PredictionRow(cell=number, bundle=bundle, state=""), cell))


def _fill(row: PredictionRow, cell: Cell) -> PredictionRow:
    row.state, row.cell_type, row.outside_score, row.problem = (
        cell.state,
        cell.cell_type,
        cell.outside_score,
        cell.problem,
    )
    p = cell.probabilities or (None,) * 5
    row.p_neutrophil, row.p_eosinophil, row.p_basophil, row.p_lymphocyte, row.p_monocyte = p
    return row


def _differential(session: Session, revision: int, bundle: int, result: SlideResult) -> None:
    row = session.exec(
        select(DifferentialRow).where(DifferentialRow.revision == revision, DifferentialRow.bundle == bundle)
    ).one_or_none()
    counted, reported = result.cell_counts, result.differential
    values: dict[str, Any] = {
        "backend": result.backend,
        **{name: counted.get(name, 0) for name in ("total", "classified", "outside", "misfit", "unreadable")},
        **reported.counts,
        "percent": reported.percent,
        "ci95": None if reported.ci95 is None else {t: list(limits) for t, limits in reported.ci95.items()},
        "remark": reported.remark,
        "problems": result.problems,
    }
    if row is None:
        row = DifferentialRow(revision=revision, bundle=bundle, created_at=utc_now(), **values)
    else:
        row.sqlmodel_update(values)
    session.add(row)
