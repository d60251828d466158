"""What came out: the latest revision of every slide, as rows and as JSON objects.

What was signed is the result of the row under the bundle that it was signed under; rows under other bundles stay the
model's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, exists, func, select

from smear.cells import CELL_TYPES
from smear.completeness import Completeness, completeness
from smear.report import CELL_COUNTS, SignedResult, slide_object
from smear.review_tables import SignatureRow
from smear.sidecar_changes import changes_since
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
from worker.signed import Signed, latest_signatures


#: Rows fetched at a time: an archive of a million slides is printed without being held.
_BATCH: Final = 1000


@dataclass(frozen=True)
class Result:
    """One revision of a slide, with what a bundle made of it where there is such, and what was signed under that."""

    source: SourceRow
    slide: SlideRow
    revision: RevisionRow
    differential: DifferentialRow | None
    bundle: BundleRow | None
    signed: Signed | None = None

    def to_object(self) -> dict[str, Any]:
        """The slide's JSON object."""
        d = self.differential
        reason = self.revision.reason
        problems = [] if d is None else d.problems
        if not problems and reason and (d is None or self.revision.state == "failed"):
            problems = [{"file": "", "reason": reason}]
        if self.signed and (changed := changes_since(self.revision.changed_after_signing, self.signed.at)):
            said = f"the analyser's data changed after signing: {changed}; the result is as it was signed"
            problems = [*problems, {"file": "", "reason": said}]
        came = self._completeness()
        return slide_object(
            source=self.source.name,
            slide_id=self.slide.slide_id,
            revision=self.revision.number,
            state=self.revision.state,
            cells=None if d is None else {name: getattr(d, name) for name in CELL_COUNTS},
            files=None if came is None else came.files,
            expected_cells=(self.revision.sidecar or {}).get("expected_cells") if came is None else came.expected,
            complete=None if came is None else came.complete,
            signed=self._reported(),
            problems=problems,
            needs_review=None if d is None else 0 if self._is_closed else d.needs_review,
            flags=None if d is None else d.flags,
            **self._model(),
        )

    @property
    def _is_closed(self) -> bool:
        """Whether a person has answered for every cell; what is open for amendment is to be looked at again."""
        return self.signed is not None and self.revision.state == "signed"

    def _completeness(self) -> Completeness | None:
        """How many pictures came of how many: of a signed slide what the signature says. None without a result."""
        if self.signed is not None and self.signed.completeness is not None:
            return self.signed.completeness
        return None if self.differential is None else completeness(self.revision.sidecar, self.differential)

    def _reported(self) -> SignedResult | None:
        return None if self.signed is None else replace(self.signed.result, amending=not self._is_closed)

    def _model(self) -> dict[str, Any]:
        """The model's numbers, and under which bundle they are reported."""
        d, bundle = self.differential, None if self.bundle is None else self.bundle.bundle_id
        backend = None if d is None else d.backend
        if self.signed is not None:
            backend = self.signed.backend or backend
            if self.signed.bundle not in (None, bundle):
                # No row is left of what was signed on: of the model only what the signature kept is known.
                return {"counts": self.signed.proposal, "bundle": self.signed.bundle, "backend": self.signed.backend}
        if d is None:
            return {"bundle": bundle, "backend": backend}
        return {
            "counts": {cell_type: getattr(d, cell_type) for cell_type in CELL_TYPES},
            "percent": d.percent,
            "ci95": d.ci95,
            "prior_adjusted": d.corrected,
            "prior_adjusted_ci95": d.corrected_ci95,
            "bundle": bundle,
            "backend": backend,
        }


def results(
    store: Store,
    *,
    slide_id: str | None = None,
    everything: bool = False,
    source: str | None = None,
    states: Sequence[str] = (),
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int | None = None,
) -> Iterator[Result]:
    """Results in order of arrival: of each slide the latest revision, under the bundle that was signed under, else the
    serving one where it has such a result, else the newest that has one; with `everything` each revision under each
    bundle.

    `since` (inclusive) and `until` (exclusive) bound the time at which what is reported last changed: the latest
    signature or countersignature, else the end of classification, else the arrival. `limit` keeps the slides that
    arrived last.
    """
    conditions = _conditions(slide_id, everything, source, states, since, until)
    with store.read() as session:
        serving = session.exec(select(ServingRow.bundle)).one_or_none()
        query = (
            select(SourceRow, SlideRow, RevisionRow)
            .join(SlideRow, col(SlideRow.source_id) == col(SourceRow.id))
            .join(RevisionRow, col(RevisionRow.slide) == col(SlideRow.id))
            .where(*conditions)
            .order_by(col(SlideRow.id), col(RevisionRow.number))
        )
        if limit is not None:
            query = query.where(col(SlideRow.id) >= _first_of_last(limit, conditions))
        for batch in session.exec(query.execution_options(yield_per=_BATCH)).partitions():
            revisions = [revision.id for _, _, revision in batch]
            found, signed = _differentials(session, revisions), latest_signatures(session, revisions)
            for where, slide, revision in batch:
                of_revision = found.get(key(revision.id), [])
                signature = signed.get(key(revision.id))
                shown, signed_row = _rows(of_revision, signature, serving, everything=everything)
                for pair in shown:
                    under = signature if pair is signed_row else None
                    yield Result(where, slide, revision, pair[0], pair[1], under)


Pair = tuple[DifferentialRow | None, BundleRow | None]


def _rows(
    found: list[Pair], signature: Signed | None, serving: int | None, *, everything: bool
) -> tuple[list[Pair], Pair | None]:
    """Which of a revision's differentials are shown, oldest first, and which of them carries the signature."""
    if not found:
        bare: Pair = (None, None)
        return [bare], bare
    signed = None
    if signature is not None:
        under = (pair for pair in found if pair[1] is not None and pair[1].bundle_id == signature.bundle)
        signed = next(under, found[-1])
    if everything:
        return found, signed
    if signed is not None:
        return [signed], signed
    of_serving = (pair for pair in found if pair[1] is not None and pair[1].id == serving)
    return [next(of_serving, found[-1])], None


def _conditions(
    slide_id: str | None,
    everything: bool,
    source: str | None,
    states: Sequence[str],
    since: datetime | None,
    until: datetime | None,
) -> list[ColumnElement[bool]]:
    """What the rows of SourceRow, SlideRow and RevisionRow must be."""
    wanted: list[Any] = []
    if slide_id is not None:
        wanted.append(is_named(slide_id))
    if source is not None:
        wanted.append(SourceRow.name == source)
    if states:
        wanted.append(col(RevisionRow.state).in_(states))
    if not everything:
        wanted.append(is_latest_revision())
    if since is not None or until is not None:
        signed_at = (
            select(func.max(SignatureRow.at))
            .where(SignatureRow.revision == RevisionRow.id)
            .correlate(RevisionRow)
            .scalar_subquery()
        )
        changed_at = func.coalesce(signed_at, RevisionRow.finished_at, RevisionRow.arrived_at)
        wanted += [changed_at >= since] if since is not None else []
        wanted += [changed_at < until] if until is not None else []
    return wanted


def _first_of_last(limit: int, conditions: list[ColumnElement[bool]]) -> Any:
    """The number of the first of those slides that arrived last, `limit` of them, among those of the conditions."""
    last = (
        select(SlideRow.id)
        .join(SourceRow, col(SlideRow.source_id) == col(SourceRow.id))
        .join(RevisionRow, col(RevisionRow.slide) == col(SlideRow.id))
        .where(*conditions)
        .distinct()
        .order_by(col(SlideRow.id).desc())
        .limit(limit)
        .subquery()
    )
    return select(func.min(last.c.id)).scalar_subquery()


def is_known(store: Store, slide_id: str) -> bool:
    """Whether any source has a slide of that name."""
    with store.read() as session:
        return bool(session.exec(select(exists().where(is_named(slide_id)))).one())


def source_names(store: Store) -> list[str]:
    """Every source that the database knows, by name."""
    with store.read() as session:
        return list(session.exec(select(SourceRow.name).order_by(col(SourceRow.name))))


def _differentials(session: Session, revisions: list[int | None]) -> dict[int, list[Pair]]:
    rows = session.exec(
        select(DifferentialRow, BundleRow)
        .join(BundleRow, col(BundleRow.id) == col(DifferentialRow.bundle))
        .where(col(DifferentialRow.revision).in_(revisions))
        .order_by(col(DifferentialRow.id))
    )
    found: dict[int, list[Pair]] = {}
    for differential, bundle in rows:
        found.setdefault(differential.revision, []).append((differential, bundle))
    return found
