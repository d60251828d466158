"""Replay of the audit: the labels, signatures and review states that its lines lead to, compared with the rows.

The chain of hashes shows that the audit was not rewritten. It does not show that the rows which the page displays are
those that the audit records: a label or a signature can be changed, deleted or inserted without touching the chain.
Slides are compared in blocks, so memory depends on the block and not on the number of slides or lines.
"""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import func
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select

from smear.kinds import shown
from smear.review_tables import AuditRow, LabelRow, SignatureRow, UserRow
from smear.tables import CellRow, RevisionRow, SlideRow, key


#: Slides that are held in memory at a time, with their cells' labels.
SLIDES_AT_ONCE: Final = 200
#: The action of the line that `worker purge` writes; its `after` holds the row numbers of the slides.
PURGED_SLIDES: Final = "purge slides"
_LABELLING: Final = frozenset({"label", "undo", "redo"})
#: States that only a person's recorded act gives to a revision.
_REVIEWED: Final = frozenset({"reviewed", "signed"})
#: Lines of earlier versions do not hold the time of the signature itself, which was taken a moment before the line's.
_SIGNED_BEFORE_LINE: Final = timedelta(seconds=60)


class _Label(NamedTuple):
    """A cell's label: the audit's last word about it, with the line's number (0 for a row)."""

    line: int
    label: str | None
    kind: str | None
    user: int | None
    revision: int | None

    @property
    def words(self) -> str:
        return shown(self.label, self.kind)


@dataclass(frozen=True)
class _Signature:
    """A signature: from a line of the audit, or from a row (then `line` is 0)."""

    line: int
    user: int | None
    role: str
    meaning: str
    reason: str | None
    at: datetime
    result: dict[str, Any]
    exact: bool = True

    def difference(self, row: "_Signature") -> str | None:
        """The first field in which a row differs from this line, in words; None where they agree."""
        late = timedelta() if self.exact else _SIGNED_BEFORE_LINE
        for name, same in (
            ("user", self.user == row.user),
            ("role", self.role == row.role),
            ("meaning", self.meaning == row.meaning),
            ("reason", self.reason == row.reason),
            ("signed result", self.result == row.result),
            ("time", abs(self.at - row.at) <= late),
        ):
            if not same:
                return name
        return None


@dataclass
class _Block:
    """What the lines about some slides lead to."""

    #: By (slide, SHA-256 of the picture).
    labels: dict[tuple[int, str], _Label] = field(default_factory=dict)
    #: By revision: the state, and the line that gave it.
    states: dict[int, tuple[str, int]] = field(default_factory=dict)
    signatures: dict[int, list[_Signature]] = field(default_factory=dict)
    #: The slide of each revision above.
    slide_of: dict[int, int] = field(default_factory=dict)


@dataclass
class Counted:
    """How many rows were compared; filled while `problems` runs."""

    labels: int = 0
    signatures: int = 0


def problems(session: Session, purged: Mapping[int, int], counted: Counted) -> Generator[str]:
    """Each difference between rows and audit, in words, slide by slide.

    The chain must have been verified in the same snapshot. `purged` gives the line that records the removal of a slide.
    """
    users = dict(session.exec(select(UserRow.id, UserRow.full_name)).all())
    for first, last in _blocks(session):
        block = _replayed(session, first, last, purged)
        slides = _Slides(session, first, last, users)
        yield from _states(block, slides)
        yield from _labels(session, first, last, block, slides, counted)
        yield from _signatures(session, first, last, block, slides, counted)
    # Rows of no revision would be in no block; only a database without its foreign keys can hold them.
    for row, seen, name in ((LabelRow, counted.labels, "label"), (SignatureRow, counted.signatures, "signature")):
        stray = int(session.exec(select(func.count()).select_from(row)).one()) - seen
        if stray:
            yield f"{_number(stray, name)} of no known revision"


def _blocks(session: Session) -> Iterator[tuple[int, int | None]]:
    """Ranges of slide row numbers that cover all numbers, with SLIDES_AT_ONCE slides each; the last one is open."""
    first = 0
    while True:
        last = session.exec(
            select(SlideRow.id)
            .where(col(SlideRow.id) >= first)
            .order_by(col(SlideRow.id))
            .offset(SLIDES_AT_ONCE - 1)
            .limit(1)
        ).one_or_none()
        yield first, last
        if last is None:
            return
        first = last + 1


def _within(column: Any, first: int, last: int | None) -> Any:
    return column >= first if last is None else column.between(first, last)


def _replayed(session: Session, first: int, last: int | None, purged: Mapping[int, int]) -> _Block:
    block = _Block()
    a = AuditRow
    columns: list[Any] = [a.number, a.at, a.user, a.role, a.action, a.slide, a.revision, a.reason, a.after]
    lines = session.execute(
        select_columns(*columns)
        .where(_within(col(AuditRow.slide), first, last))
        .order_by(col(AuditRow.slide), col(AuditRow.number))
        .execution_options(yield_per=500)
    )
    for number, at, user, role, action, slide, revision, reason, after in lines:
        if after is None or revision is None or purged.get(slide, 0) > number:
            continue
        block.slide_of[revision] = slide
        if action in _LABELLING:
            for cell in after["cells"]:
                told = _Label(number, cell["label"], cell["kind"], user, revision)
                block.labels[slide, cell["sha256"]] = told
            block.states[revision] = ("reviewed", number)
        elif "meaning" in after:
            exact = "at" in after
            then = datetime.fromisoformat(after["at"]) if exact else at
            given = _Signature(number, user, role, after["meaning"], reason, then, after["result"], exact)
            block.signatures.setdefault(revision, []).append(given)
            block.states[revision] = ("signed", number)
        elif after.get("state") in _REVIEWED:
            block.states[revision] = (after["state"], number)
        elif "state" in after:
            block.states.pop(revision, None)
    return block


class _Slides:
    """The slides and revisions of a block, by row number, and how a sentence names them."""

    def __init__(self, session: Session, first: int, last: int | None, users: Mapping[int | None, str]) -> None:
        self._names = dict(
            session.exec(select(SlideRow.id, SlideRow.slide_id).where(_within(col(SlideRow.id), first, last))).all()
        )
        self.revisions = {
            key(row): (slide, number, state)
            for row, slide, number, state in session.exec(
                select(RevisionRow.id, RevisionRow.slide, RevisionRow.number, RevisionRow.state).where(
                    _within(col(RevisionRow.slide), first, last)
                )
            )
        }
        self._users = users

    def user(self, user: int | None) -> str:
        return self._users.get(user, f"user number {user}")

    def slide(self, slide: int) -> str:
        return f"slide {self._names[slide]}" if slide in self._names else f"slide number {slide}, which is gone"

    def revision(self, revision: int, slide: int) -> str:
        found = self.revisions.get(revision)
        return f"{self.slide(slide)}, revision {found[1]}" if found else f"{self.slide(slide)}, a revision that is gone"


def _states(block: _Block, slides: _Slides) -> Iterator[str]:
    for revision, (slide, _, state) in slides.revisions.items():
        told = block.states.get(revision)
        if told is None and state in _REVIEWED:
            yield f"{slides.revision(revision, slide)} is {state}, and no line of the audit says so"
        elif told is not None and told[0] != state:
            yield f"{slides.revision(revision, slide)} is {state}; by line {told[1]} it is {told[0]}"
    for revision, (state, line) in block.states.items():
        if revision not in slides.revisions:
            yield f"{slides.revision(revision, block.slide_of[revision])}; by line {line} it is {state}"


def _labels(
    session: Session, first: int, last: int | None, block: _Block, slides: _Slides, counted: Counted
) -> Iterator[str]:
    """Differences between labels, one sentence a slide and kind of difference."""
    unknown: dict[int, list[str]] = {}
    changed: dict[int, list[str]] = {}
    missing: dict[int, list[str]] = {}
    row_of = LabelRow
    columns: list[Any] = [RevisionRow.slide, CellRow.slide, CellRow.sha256]
    columns += [row_of.label, row_of.kind, row_of.user, row_of.revision]
    rows = session.execute(
        select_columns(*columns)
        .select_from(RevisionRow)
        .join(LabelRow, col(LabelRow.revision) == col(RevisionRow.id))
        .join(CellRow, col(CellRow.id) == col(LabelRow.cell), isouter=True)
        .where(_within(col(RevisionRow.slide), first, last))
        .execution_options(yield_per=1000)
    )
    for of_revision, of_cell, sha256, label, kind, user, revision in rows:
        counted.labels += 1
        told = block.labels.pop((of_cell, sha256), None)
        row = _Label(0, label, kind, user, revision)
        if told is None:
            unknown.setdefault(of_revision, []).append(f"cell {_short(sha256)} is labelled {row.words}")
        elif (told.label, told.kind) != (label, kind):
            words = f"cell {_short(sha256)} is labelled {row.words}; by line {told.line} it is {told.words}"
            changed.setdefault(of_cell, []).append(words)
        elif (told.user, told.revision) != (user, revision):
            words = f"the label of cell {_short(sha256)} names {slides.user(user)}; line {told.line} names"
            changed.setdefault(of_cell, []).append(f"{words} {slides.user(told.user)}, or another revision")
    for (slide, sha256), told in block.labels.items():
        missing.setdefault(slide, []).append(f"cell {_short(sha256)}, by line {told.line} {told.words}")
    for found, words in (
        (unknown, "{n} that the audit does not record"),
        (changed, "{n} changed behind the audit"),
        (missing, "{n} missing"),
    ):
        for slide, cells in sorted(found.items()):
            said = words.format(n=_number(len(cells), "label"))
            yield f"{slides.slide(slide)}: {said}, the first: {cells[0]}"


def _signatures(
    session: Session, first: int, last: int | None, block: _Block, slides: _Slides, counted: Counted
) -> Iterator[str]:
    given: dict[int, list[_Signature]] = {}
    for row in session.execute(
        select(SignatureRow)
        .join(RevisionRow, col(RevisionRow.id) == col(SignatureRow.revision))
        .where(_within(col(RevisionRow.slide), first, last))
        .order_by(col(SignatureRow.id))
    ).scalars():
        counted.signatures += 1
        signature = _Signature(0, row.user, row.role, row.meaning, row.reason, row.at, row.result)
        given.setdefault(row.revision, []).append(signature)
    session.expunge_all()
    for revision in sorted(given.keys() | block.signatures.keys()):
        slide = block.slide_of.get(revision) or slides.revisions[revision][0]
        where = slides.revision(revision, slide)
        for said in _compared(block.signatures.get(revision, []), given.get(revision, []), slides):
            yield f"{where}: {said}"


def _compared(told: list[_Signature], rows: list[_Signature], slides: _Slides) -> Iterator[str]:
    """Differences between the signatures of one revision and their lines, both in order."""
    told, rows = list(told), list(rows)
    while told or rows:
        if told and rows and (what := told[0].difference(rows[0])) is None:
            told, rows = told[1:], rows[1:]
        elif told and not any(told[0].difference(row) is None for row in rows) and len(told) > len(rows):
            yield f"the signature of {slides.user(told[0].user)} is missing (line {told[0].line})"
            told = told[1:]
        elif rows and not any(line.difference(rows[0]) is None for line in told) and len(rows) > len(told):
            yield f"a signature of {slides.user(rows[0].user)} that the audit does not record"
            rows = rows[1:]
        else:
            whose = f"the signature of {slides.user(told[0].user)}"
            yield f"{whose} was changed: its {what} is not that of line {told[0].line}"
            told, rows = told[1:], rows[1:]


def _short(sha256: str | None) -> str:
    return "that is gone" if sha256 is None else sha256[:12]


def _number(n: int, name: str) -> str:
    return f"{n} {name}{'' if n == 1 else 's'}"
