"""A slide as its page shows it: a revision's cells, what analyser, model and people say of each, and the counts."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select

from review.after_signing import changed_since, signed_wbc
from review.identity import gone, refuse_outdated
from review.refusal import Refused, not_there
from review.withholding import percent_shown, withheld_words
from smear.cells import CELL_TYPES, CellState, cell_type_of
from smear.completeness import Completeness, completeness
from smear.decision import needs_review
from smear.differential import Differential, differential
from smear.flags import absolute, flags
from smear.intervals import Intervals
from smear.kinds import OUTSIDE
from smear.review_tables import ChangeRow, ReferenceRow, ReviewRow, UserRow
from smear.review_tables import LabelRow as Label
from smear.tables import (
    BundleRow,
    CellRow,
    DifferentialRow,
    PictureRow,
    PredictionRow,
    RevisionRow,
    SlideRow,
    SourceRow,
    by_standing,
    key,
)


#: Groups of the gallery, in order.
UNUSABLE: Final = "unusable"
GROUPS: Final[tuple[str, ...]] = (*CELL_TYPES, OUTSIDE, UNUSABLE)
#: Whoever has not changed anything for this long no longer has the slide.
HELD_FOR: Final = timedelta(minutes=15)
#: States in which cells may be changed.
OPEN: Final = frozenset({"classified", "reviewed"})


@dataclass(frozen=True)
class Rules:
    """What results are judged by; its versions go into every signature."""

    intervals: Intervals
    min_cells: int
    low_count_cells: int
    review_below: float
    software: str

    @property
    def versions(self) -> dict[str, Any]:
        """As signatures and the audit carry them."""
        return {
            "software": self.software,
            "intervals": self.intervals.version,
            "min_cells": self.min_cells,
            "low_count_cells": self.low_count_cells,
            "review_below": self.review_below,
        }


@dataclass(frozen=True)
class CellView:
    """One cell: `proposal` is the model's (one of the five, `outside`, or None), `label` a person's, or None."""

    id: int
    number: int
    sha256: str
    state: CellState
    proposal: str | None
    probabilities: tuple[float, ...] | None
    analyser_class: str | None
    label: str | None
    kind: str | None
    by: int | None
    problem: str | None
    doubtful: bool
    is_reference: bool

    @property
    def group(self) -> str:
        """Where it is shown and what it counts as."""
        return self.label or self.proposal or UNUSABLE

    @property
    def confidence(self) -> float:
        """The largest probability; 0 where there is none."""
        return max(self.probabilities or (0.0,))


@dataclass(frozen=True)
class Opinion:
    """A differential by one of the three: analyser, model, people. `outside` counts what is none of the five."""

    result: Differential
    outside: int

    @property
    def total(self) -> int:
        """Cells counted: the five."""
        return sum(self.result.counts.values())


@dataclass(frozen=True)
class Reviewed:
    """What follows from the cells as they are labelled now."""

    cells: list[CellView]
    analyser: Opinion | None
    model: Opinion
    people: Opinion
    withheld: str | None
    absolute: dict[str, float] | None
    flags: list[dict[str, Any]]
    kinds: dict[str, int]
    changed: int
    doubtful: int

    @property
    def model_percent(self) -> dict[str, float] | None:
        """The per cents of the model's column; None where it shows counts alone."""
        return percent_shown(self.model.result, self.people.result)

    @property
    def analyser_percent(self) -> dict[str, float] | None:
        """The per cents of the analyser's column; None where it shows counts alone, or has no opinion."""
        return None if self.analyser is None else percent_shown(self.analyser.result, self.people.result)

    @property
    def groups(self) -> list[tuple[str, list[CellView]]]:
        """The gallery: each group with its cells, least certain first, those that a person has labelled last."""
        by_group: dict[str, list[CellView]] = {group: [] for group in GROUPS}
        for cell in self.cells:
            by_group[cell.group].append(cell)
        for cells in by_group.values():
            cells.sort(key=lambda c: (c.label is not None, c.confidence, c.number))
        return [(group, cells) for group, cells in by_group.items() if cells or group != UNUSABLE]


@dataclass(frozen=True)
class SlideView:
    """A revision of a slide with everything its page says of it."""

    slide: SlideRow
    source: str
    revision: RevisionRow
    latest: int
    review: ReviewRow
    holder: str | None
    wbc_10e9_L: float | None  # noqa: N815 - the unit's own spelling
    bundle: str | None
    backend: str | None
    stored: DifferentialRow | None
    reviewed: Reviewed
    sidecar: dict[str, Any] = field(default_factory=dict)
    changed_since: str | None = None

    @property
    def completeness(self) -> Completeness:
        """What the analyser announced and what came; nothing is expected of a revision that was not read yet."""
        return Completeness(None, 0) if self.stored is None else completeness(self.sidecar, self.stored)

    @property
    def is_latest(self) -> bool:
        """Earlier revisions are shown and never changed."""
        return self.revision.number == self.latest

    @property
    def is_open(self) -> bool:
        """Whether its cells may be changed."""
        return self.is_latest and self.revision.state in OPEN

    @property
    def is_signed(self) -> bool:
        """Whether the latest signature holds."""
        return self.revision.state == "signed"


def find(session: Session, slide: int, number: int | None = None) -> tuple[SlideRow, RevisionRow, int]:
    """A slide, one of its revisions (the latest, or that of this number), and the latest's number. Raises Refused."""
    row = session.get(SlideRow, slide)
    if row is None:
        raise not_there("slide")
    revisions = session.exec(
        select(RevisionRow).where(RevisionRow.slide == slide).order_by(col(RevisionRow.number))
    ).all()
    chosen = next((r for r in reversed(revisions) if number in (None, r.number)), None)
    if chosen is None:
        raise not_there("revision of this slide")
    return row, chosen, revisions[-1].number


def latest_to_write(
    session: Session, slide: int, seen_revision: int | None = None, identity: str | None = None
) -> RevisionRow:
    """The latest revision as it is now, and nobody else's to change before this transaction ends. Raises Refused.

    With `seen_revision`, a number, and `identity` also where that is not the one that was seen: versions begin at 0
    with each revision, and go on from an earlier one after a restore.
    """
    try:
        _, revision, _ = find(session, slide)
    except Refused as error:
        raise gone(error) if identity is not None else error from None
    if session.get_bind().dialect.name != "sqlite":
        # SQLite has one writer at a time anyway; elsewhere this row is what two of them queue for, and what the first
        # one made of it is what the second one must see.
        session.refresh(revision, with_for_update={"key_share": True})
    refuse_outdated(revision, seen_revision, identity)
    return revision


def load(session: Session, rules: Rules, slide: int, number: int | None = None) -> SlideView:
    """Everything of a slide's revision. Raises Refused (404)."""
    row, revision, latest = find(session, slide, number)
    source = session.get_one(SourceRow, row.source_id).name
    review = review_of(session, key(revision.id))
    stored, bundle = _stored(session, key(revision.id))
    holder = session.get(UserRow, review.held_by) if review.held_by is not None else None
    sidecar = revision.sidecar or {}
    cells = cells_of(session, rules, key(revision.id), None if bundle is None else key(bundle.id))
    if revision.number < latest:
        cells = _as_they_were(session, rules, row, revision, cells)
    wbc = signed_wbc(session, revision)
    return SlideView(
        slide=row,
        source=source,
        revision=revision,
        latest=latest,
        review=review,
        holder=None if holder is None else holder.full_name,
        wbc_10e9_L=wbc,
        bundle=None if bundle is None else bundle.bundle_id,
        backend=None if stored is None else stored.backend,
        stored=stored,
        reviewed=judge(cells, rules, wbc),
        sidecar=sidecar,
        changed_since=changed_since(session, revision),
    )


def review_of(session: Session, revision: int) -> ReviewRow:
    """The review's row of a revision; a fresh one, not added, where nobody has touched it."""
    found = session.exec(select(ReviewRow).where(ReviewRow.revision == revision)).one_or_none()
    return found or ReviewRow(revision=revision)


def _stored(session: Session, revision: int) -> tuple[DifferentialRow | None, BundleRow | None]:
    found = session.exec(
        select(DifferentialRow, BundleRow)
        .join(BundleRow, col(BundleRow.id) == col(DifferentialRow.bundle))
        .where(DifferentialRow.revision == revision)
        .order_by(*(column.desc() for column in by_standing()))
        .limit(1)
    ).one_or_none()
    return (None, None) if found is None else (found[0], found[1])


def cells_of(session: Session, rules: Rules, revision: int, bundle: int | None) -> list[CellView]:
    """The distinct cells of a revision, in the order of their files."""
    p = PredictionRow
    five = (p.p_neutrophil, p.p_eosinophil, p.p_basophil, p.p_lymphocyte, p.p_monocyte)
    columns: list[Any] = [
        CellRow.id, CellRow.sha256, PictureRow.analyser_class, p.state, p.cell_type, *five, p.problem,
        Label.label, Label.kind, Label.user, ReferenceRow.id,
    ]  # fmt: skip
    rows = session.execute(
        select_columns(*columns)
        .select_from(PictureRow)
        .join(CellRow, col(CellRow.id) == col(PictureRow.cell))
        .outerjoin(p, (col(p.cell) == col(CellRow.id)) & (col(p.bundle) == bundle))
        .outerjoin(Label, col(Label.cell) == col(CellRow.id))
        .outerjoin(ReferenceRow, col(ReferenceRow.cell) == col(CellRow.id))
        .where(col(PictureRow.revision) == revision)
        .order_by(col(PictureRow.path))
    )
    found: dict[int, CellView] = {}
    for cell, digest, analyser, state, cell_type, *five_p, problem, label, kind, user, reference in rows:
        if cell in found:
            continue
        probabilities = None if five_p[0] is None else tuple(five_p)
        proposal = cell_type if state == "classified" else OUTSIDE if state == "outside" else None
        found[cell] = CellView(
            id=cell,
            number=len(found) + 1,
            sha256=digest,
            state=state or "unreadable",
            proposal=proposal,
            probabilities=probabilities,
            analyser_class=analyser,
            label=label,
            kind=kind if label is not None else None,
            by=user if label is not None else None,
            problem=problem,
            doubtful=label is None and needs_review(state, probabilities, rules.review_below),
            is_reference=reference is not None,
        )
    return list(found.values())


def _as_they_were(
    session: Session, rules: Rules, row: SlideRow, revision: RevisionRow, cells: list[CellView]
) -> list[CellView]:
    """The cells with the labels that they had when the next revision began: labels go on with their cells."""
    later = session.exec(
        select(ChangeRow.before)
        .join(RevisionRow, col(RevisionRow.id) == col(ChangeRow.revision))
        .where(RevisionRow.slide == row.id, col(RevisionRow.number) > revision.number)
        .order_by(col(ChangeRow.id).desc())
    )
    # The first change made later tells what was there before it, also where it was taken back.
    then = {told["cell"]: (told["label"], told["kind"]) for before in later for told in before}
    found = []
    for cell in cells:
        label, kind = then.get(cell.id, (cell.label, cell.kind))
        doubtful = label is None and needs_review(cell.state, cell.probabilities, rules.review_below)
        by = cell.by if cell.id not in then and label is not None else None
        found.append(replace(cell, label=label, kind=kind, by=by, doubtful=doubtful))
    return found


def judge(cells: list[CellView], rules: Rules, wbc_10e9_L: float | None) -> Reviewed:  # noqa: N803 - the unit's own spelling
    """Counts, limits, absolutes and flags of these cells as they are labelled."""
    people = _opinion((c.group for c in cells), rules)
    named = [c for c in cells if c.analyser_class is not None]
    return Reviewed(
        cells=cells,
        analyser=_opinion((cell_type_of(c.analyser_class or "") or OUTSIDE for c in named), rules) if named else None,
        model=_opinion((c.proposal or UNUSABLE for c in cells), rules),
        people=people,
        withheld=withheld_words(people.result.counts, people.result.percent, rules.min_cells),
        absolute=absolute(people.result.percent, wbc_10e9_L),
        flags=flags(people.result.percent, people.result.ci95, rules.intervals, wbc_10e9_L),
        kinds=dict(Counter(f"{c.label}:{c.kind}" for c in cells if c.kind is not None)),
        changed=sum(c.label is not None and c.label != c.proposal for c in cells),
        doubtful=sum(c.doubtful for c in cells),
    )


def _opinion(groups: Iterable[str], rules: Rules) -> Opinion:
    counts = Counter(groups)
    result = differential(
        {t: counts[t] for t in CELL_TYPES}, min_cells=rules.min_cells, low_count_cells=rules.low_count_cells
    )
    return Opinion(result, counts[OUTSIDE])
