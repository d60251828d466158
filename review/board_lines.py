"""The lines of the board: what each slide shows, with the differential as it was signed or as its cells stand now."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from review.slide import HELD_FOR, OPEN, Rules
from review.standing import Standing, labelled, standing
from review.withholding import withheld_words
from smear.cells import CELL_TYPES
from smear.completeness import completeness
from smear.differential import differential
from smear.flags import flags
from smear.review_tables import BoardRow, ReviewRow, SignatureRow, UserRow
from smear.tables import DifferentialRow, RevisionRow, SourceRow, by_standing, key, utc_now
from smear.tables import SlideRow as Slide


@dataclass(frozen=True)
class Line:
    """A slide on the board. `counts` are what was signed, else what stands now; None where nothing is there yet.

    `withheld` and `incomplete` are words for people; None where there is no reason for them. `sidecars` are the files
    whose problems the slide's page shows.
    """

    slide: int
    source: str
    urgent: bool
    name: str
    order_id: str | None
    number: int
    state: str
    reason: str | None
    arrived_at: datetime
    working: bool
    holder: str | None
    amending: bool
    identity: str
    total: int | None = None
    outside: int = 0
    needs_review: int | None = None
    counts: dict[str, int] | None = None
    percent: dict[str, float] | None = None
    withheld: str | None = None
    remark: str | None = None
    flags: list[dict[str, Any]] = field(default_factory=list)
    incomplete: str | None = None
    sidecars: list[str] = field(default_factory=list)


def lines(session: Session, rules: Rules, rows: list[BoardRow]) -> list[Line]:
    """A line for each of these rows, in their order."""
    revisions = [row.revision for row in rows]
    details = {
        key(r.id): (r, s)
        for r, s in session.exec(
            select(RevisionRow, SourceRow)
            .join(Slide, col(Slide.id) == col(RevisionRow.slide))
            .join(SourceRow, col(SourceRow.id) == col(Slide.source_id))
            .where(col(RevisionRow.id).in_(revisions))
        )
    }
    stored = {
        d.revision: d
        for d in session.exec(
            select(DifferentialRow).where(col(DifferentialRow.revision).in_(revisions)).order_by(*by_standing())
        )
    }
    signed = {
        s.revision: s.result
        for s in session.exec(
            select(SignatureRow).where(col(SignatureRow.revision).in_(revisions)).order_by(col(SignatureRow.id))
        )
    }
    reviews = {
        r.revision: (r, user)
        for r, user in session.exec(
            select(ReviewRow, UserRow)
            .join(UserRow, col(UserRow.id) == col(ReviewRow.held_by), isouter=True)
            .where(col(ReviewRow.revision).in_(revisions))
        )
    }
    now = utc_now()
    stands = _standing(session, rules, rows, stored)
    return [
        replace(
            _line(row, *details[row.revision], reviews.get(row.revision), now),
            **_numbers(
                rules, details[row.revision][0], stored.get(row.revision), signed.get(row.revision),
                stands.get(row.revision),
            ),
        )
        for row in rows
        if row.revision in details
    ]  # fmt: skip


def _standing(
    session: Session, rules: Rules, rows: list[BoardRow], stored: dict[int, DifferentialRow]
) -> dict[int, Standing]:
    """Counted from labels only where there may be some: most slides of a board were never touched."""
    touched = labelled(session, [row.slide for row in rows if row.state in OPEN and row.revision in stored])
    return standing(session, rules, [key(stored[row.revision].id) for row in rows if row.slide in touched])


def _numbers(
    rules: Rules,
    revision: RevisionRow,
    stored: DifferentialRow | None,
    signed: dict[str, Any] | None,
    stands: Standing | None,
) -> dict[str, Any]:
    """The fields of a line that carry numbers: as signed, else as the cells stand, judged as the slide's page does."""
    came = {}
    if stored is not None:
        came = {"total": stored.total, "incomplete": completeness(revision.sidecar, stored).words}
    return came | _differential(rules, revision, stored, signed, stands)


def _differential(
    rules: Rules,
    revision: RevisionRow,
    stored: DifferentialRow | None,
    signed: dict[str, Any] | None,
    stands: Standing | None,
) -> dict[str, Any]:
    if signed is not None and revision.state == "signed":
        numbers = {name: signed[name] for name in ("counts", "percent", "remark", "flags", "outside")}
        words = withheld_words(signed["counts"], signed["percent"], signed["versions"]["min_cells"])
        return numbers | {"withheld": words}
    if stored is None:
        return {}
    if stands is None:
        stands = Standing({t: getattr(stored, t) for t in CELL_TYPES}, stored.outside, stored.needs_review or 0)
    result = differential(stands.counts, min_cells=rules.min_cells, low_count_cells=rules.low_count_cells)
    wbc = (revision.sidecar or {}).get("wbc_10e9_L")
    return {
        "counts": result.counts,
        "percent": result.percent,
        "withheld": withheld_words(result.counts, result.percent, rules.min_cells),
        "remark": result.remark,
        "flags": flags(result.percent, result.ci95, rules.intervals, wbc),
        "outside": stands.outside,
        "needs_review": stands.needs_review if revision.state != "signed" else None,
    }


def _line(
    row: BoardRow,
    revision: RevisionRow,
    source: SourceRow,
    review: tuple[ReviewRow, UserRow | None] | None,
    now: datetime,
) -> Line:
    """A line without its numbers."""
    holder = None
    if review is not None and review[1] is not None and review[0].held_at is not None:
        holder = review[1].full_name if now - review[0].held_at < HELD_FOR else None
    return Line(
        slide=row.slide,
        source=source.name,
        urgent=source.priority > 0 and row.state not in {"signed", "listed"},
        name=row.slide_name,
        order_id=row.order_id,
        number=row.number,
        state=row.state,
        reason=revision.reason,
        arrived_at=row.arrived_at,
        working=revision.claimed_by is not None and row.state == "queued",
        holder=holder,
        amending=review is not None and review[0].amending is not None,
        identity=revision.identity,
        sidecars=list(dict.fromkeys(problem["file"] for problem in revision.sidecar_problems or [])),
    )
