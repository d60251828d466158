"""What came out: the latest revision of every slide, as rows, as JSON objects, as CSV."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlmodel import Session, col, select

from smear.cells import CELL_TYPES
from smear.report import CELL_COUNTS, slide_object
from smear.store import Store
from smear.tables import (
    BundleRow,
    DifferentialRow,
    RevisionRow,
    ServingRow,
    SlideRow,
    SourceRow,
    is_latest_revision,
    is_named,
    key,
)


#: Rows fetched at a time: an archive of a million slides is printed without being held.
_BATCH: Final = 1000


@dataclass(frozen=True)
class Result:
    """One revision of a slide, with what a bundle made of it where there is such."""

    source: SourceRow
    slide: SlideRow
    revision: RevisionRow
    differential: DifferentialRow | None
    bundle: BundleRow | None

    def to_object(self) -> dict[str, Any]:
        """The slide's JSON object."""
        d = self.differential
        reason = self.revision.reason
        problems = [] if d is None else d.problems
        if not problems and reason and (d is None or self.revision.state == "failed"):
            problems = [{"file": "", "reason": reason}]
        return slide_object(
            source=self.source.name,
            slide_id=self.slide.slide_id,
            revision=self.revision.number,
            state=self.revision.state,
            cells=None if d is None else {name: getattr(d, name) for name in CELL_COUNTS},
            counts=None if d is None else {cell_type: getattr(d, cell_type) for cell_type in CELL_TYPES},
            percent=None if d is None else d.percent,
            ci95=None if d is None else d.ci95,
            problems=problems,
            bundle=None if self.bundle is None else self.bundle.bundle_id,
            backend=None if d is None else d.backend,
            prior_adjusted=None if d is None else d.corrected,
            prior_adjusted_ci95=None if d is None else d.corrected_ci95,
            needs_review=None if d is None else d.needs_review,
            flags=None if d is None else d.flags,
        )


def results(store: Store, *, slide_id: str | None = None, everything: bool = False) -> Iterator[Result]:
    """Results in order of arrival: of each slide the latest revision, under the serving bundle where it has such a
    result, else under the newest that has one; with `everything` each revision under each bundle.
    """
    with store.read() as session:
        serving = session.exec(select(ServingRow.bundle)).one_or_none()
        query = (
            select(SourceRow, SlideRow, RevisionRow)
            .join(SlideRow, col(SlideRow.source_id) == col(SourceRow.id))
            .join(RevisionRow, col(RevisionRow.slide) == col(SlideRow.id))
            .order_by(col(SlideRow.id), col(RevisionRow.number))
        )
        if slide_id is not None:
            query = query.where(is_named(slide_id))
        if not everything:
            query = query.where(is_latest_revision())
        for batch in session.exec(query.execution_options(yield_per=_BATCH)).partitions():
            found = _differentials(session, [revision.id for _, _, revision in batch])
            for source, slide, revision in batch:
                of_revision = found.get(key(revision.id), [])
                if not of_revision:
                    yield Result(source, slide, revision, None, None)
                elif not everything:
                    of_revision.sort(key=lambda pair: (pair[1].id == serving, key(pair[0].id)))
                    del of_revision[:-1]
                for differential, bundle in of_revision:
                    yield Result(source, slide, revision, differential, bundle)


def _differentials(session: Session, revisions: list[int | None]) -> dict[int, list[tuple[DifferentialRow, BundleRow]]]:
    rows = session.exec(
        select(DifferentialRow, BundleRow)
        .join(BundleRow, col(BundleRow.id) == col(DifferentialRow.bundle))
        .where(col(DifferentialRow.revision).in_(revisions))
        .order_by(col(DifferentialRow.id))
    )
    found: dict[int, list[tuple[DifferentialRow, BundleRow]]] = {}
    for differential, bundle in rows:
        found.setdefault(differential.revision, []).append((differential, bundle))
    return found


CSV_COLUMNS: Final = (
    "source", "slide_id", "revision", "state", *CELL_COUNTS, *CELL_TYPES,
    *(f"{t}_percent" for t in CELL_TYPES),
    *(f"{t}_{end}" for t in CELL_TYPES for end in ("low95", "high95")),
    "problems", "bundle", "backend",
)  # fmt: skip


def csv_row(slide: dict[str, Any]) -> dict[str, Any]:
    """A slide's JSON object as one row of CSV_COLUMNS; `problems` is their number."""
    percent, ci95 = slide["percent"] or {}, slide["ci95"] or {}
    row = {name: slide[name] for name in ("source", "slide_id", "revision", "state", "bundle", "backend")}
    row |= slide["cells"] | slide["counts"]
    for cell_type in CELL_TYPES:
        row[f"{cell_type}_percent"] = percent.get(cell_type)
        row[f"{cell_type}_low95"], row[f"{cell_type}_high95"] = ci95.get(cell_type, (None, None))
    return row | {"problems": len(slide["problems"])}
