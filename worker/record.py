"""Writing a slide's result: one transaction, under the claim's token, and harmless when done twice."""

from typing import Any

from sqlalchemy import delete, func, update
from sqlmodel import Session, col, select

from smear.cells import CELL_TYPES
from smear.files import storable
from smear.intervals import ADULT, Intervals
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
from smear.upsert import insert_missing, insert_or_update
from worker.classify import Cell, SlideResult
from worker.ledger import Claim, Fenced


def record(
    store: Store,
    claim: Claim,
    result: SlideResult,
    signature: str,
    intervals: Intervals = ADULT,
    *,
    not_kept: int = 0,
) -> None:
    """Store pictures, cells, predictions and differential, and end the claim; raises Fenced and writes nothing
    where the claim was taken back. `signature` is the folder's, from before it was read; `not_kept` of its pictures
    could not be kept.
    """
    with store.write() as session:
        write(session, claim, result, signature, intervals, not_kept=not_kept)


def write(
    session: Session,
    claim: Claim,
    result: SlideResult,
    signature: str,
    intervals: Intervals = ADULT,
    *,
    not_kept: int = 0,
) -> None:
    """Every row of a result, in a transaction that is still open; raises Fenced.

    The revision's row comes first: whoever else would write to it waits, and nobody waits the other way round. Rows
    that two revisions of a slide share are written in one order by all.
    """
    ended = session.execute(
        update(RevisionRow)
        .where(
            col(RevisionRow.id) == claim.revision,
            col(RevisionRow.token) == claim.token,
            # The token outlives the claim: what a person has reviewed since is not taken back.
            col(RevisionRow.state).in_(("queued", "classified", "failed")),
        )
        .values(
            state="failed" if result.failure else "classified",
            reason=_kept(result.failure),
            claimed_by=None,
            in_hand=None,
            finished_at=func.coalesce(col(RevisionRow.finished_at), utc_now()),
            signature=signature,
            not_kept=not_kept,
        )
    )
    if ended.rowcount != 1:  # type: ignore[attr-defined]
        raise Fenced(f"revision {claim.revision}")
    bundle = session.exec(select(BundleRow).where(BundleRow.bundle_id == result.bundle_id)).one()
    cells = _cells(session, claim.slide, result)
    _pictures(session, claim.revision, result, cells)
    _predictions(session, key(bundle.id), result, cells)
    _differential(session, claim.revision, key(bundle.id), result, intervals)


def _cells(session: Session, slide: int, result: SlideResult) -> dict[str, int]:
    """Row number of every content of the slide, by SHA-256."""
    contents = sorted({c.sha256 for c in result.cells if c.sha256})
    insert_missing(session, CellRow, [{"slide": slide, "sha256": c} for c in contents], unique=("slide", "sha256"))
    rows = session.exec(select(CellRow.sha256, CellRow.id).where(CellRow.slide == slide))
    return {sha256: key(number) for sha256, number in rows}


def _pictures(session: Session, revision: int, result: SlideResult, cells: dict[str, int]) -> None:
    # An earlier attempt at this revision may have seen a file that has gone since.
    before = set(session.exec(select(PictureRow.path).where(PictureRow.revision == revision)))
    gone = before - {picture.path for picture, _ in result.files}
    for path in gone:
        session.execute(delete(PictureRow).where(col(PictureRow.revision) == revision, col(PictureRow.path) == path))
    rows = [
        {
            "revision": revision,
            "path": picture.path,
            "cell": cells[cell.sha256] if cell.sha256 else None,
            "problem": _kept(cell.problem),
            "analyser_class": _kept(picture.analyser_class),
            "size": picture.stat.size,
            "mtime_ns": picture.stat.mtime_ns,
            "ctime_ns": picture.stat.ctime_ns,
            "inode": str(picture.stat.inode),
        }
        for picture, cell in result.files
    ]
    insert_or_update(session, PictureRow, rows, unique=("revision", "path"))


def _predictions(session: Session, bundle: int, result: SlideResult, cells: dict[str, int]) -> None:
    rows = [_prediction(cells[c.sha256], bundle, c) for c in result.cells if c.sha256]
    insert_or_update(session, PredictionRow, sorted(rows, key=lambda row: int(row["cell"])), unique=("cell", "bundle"))


def _prediction(number: int, bundle: int, cell: Cell) -> dict[str, Any]:
    p = cell.probabilities or (None,) * len(CELL_TYPES)
    return {
        "cell": number,
        "bundle": bundle,
        "state": cell.state,
        "cell_type": cell.cell_type,
        **{f"p_{cell_type}": p[i] for i, cell_type in enumerate(CELL_TYPES)},
        "outside_score": cell.outside_score,
        "problem": _kept(cell.problem),
    }


def _differential(session: Session, revision: int, bundle: int, result: SlideResult, intervals: Intervals) -> None:
    row = session.exec(
        select(DifferentialRow).where(DifferentialRow.revision == revision, DifferentialRow.bundle == bundle)
    ).one_or_none()
    counted, reported = result.cell_counts, result.differential
    of = session.get_one(RevisionRow, revision)
    sidecar = of.sidecar or {}
    values: dict[str, Any] = {
        "backend": result.backend,
        "files": result.picture_files,
        **{name: counted.get(name, 0) for name in ("total", "classified", "outside", "misfit", "unreadable")},
        **reported.counts,
        "percent": reported.percent,
        "ci95": None if reported.ci95 is None else _lists(reported.ci95),
        "remark": reported.remark,
        "corrected": result.corrected,
        "corrected_ci95": None if result.corrected_ci95 is None else _lists(result.corrected_ci95),
        "needs_review": result.needs_review,
        "flags": result.flags(intervals, sidecar.get("wbc_10e9_L")),
        "problems": [
            {name: storable(text) for name, text in problem.items()}
            for problem in (*result.problems, *(of.sidecar_problems or []))
        ],
    }
    if row is None:
        row = DifferentialRow(revision=revision, bundle=bundle, created_at=utc_now(), **values)
    else:
        row.sqlmodel_update(values)
    session.add(row)


def _kept(text: str | None) -> str | None:
    """What is said of one picture stops no other."""
    return None if text is None else storable(text)


def _lists(limits: dict[str, tuple[float, float]]) -> dict[str, list[float]]:
    return {cell_type: list(pair) for cell_type, pair in limits.items()}
