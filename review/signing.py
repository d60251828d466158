"""Signing: a reviewed differential is fixed under a name, by a second one too, and opened again with a reason."""

from dataclasses import replace
from typing import Any, Final

from sqlmodel import Session, col, select

from review import slide as slides
from review.cautions import cautions
from review.labelling import open_review
from review.people import Person
from review.refusal import Refused, conflict
from review.slide import Opinion, Rules, SlideView
from review.withholding import withheld_words
from review.words import seen_length, typed
from smear.audit import append
from smear.cells import CELL_TYPES
from smear.differential import Differential
from smear.review_tables import SignatureRow, UserRow
from smear.store import Store
from smear.tables import key, utc_now


MIN_REASON: Final = 5
MAX_REASON: Final = 2000


def sign(
    store: Store,
    rules: Rules,
    person: Person,
    slide: int,
    seen_version: int,
    seen_revision: int | None = None,
    identity: str | None = None,
    *,
    reason: str = "",
) -> None:
    """Sign what the person has seen; of a signed slide, countersign. Raises Refused.

    A withheld or incomplete differential is signed with a `reason` only. What was warned of is kept in the result.
    """
    why = typed(reason) or None
    with store.write() as session:
        slides.latest_to_write(session, slide, seen_revision, identity)
        view = slides.load(session, rules, slide)
        if view.review.version != seen_version:
            raise conflict("This slide was changed after you opened it: look at what is there now, then sign.")
        if view.is_signed:
            _second(session, rules, person, view)
            return
        revision, review = open_review(session, slide)
        if needs_reason(view, rules) or why is not None:
            _check_reason(why or "", "Say why you sign it all the same")
        meaning = "amended" if review.amending else "signed"
        result = result_of(view, rules) | {"reason": why}
        amended, review.amending, review.held_by, review.held_at = review.amending, None, None, None
        review.version += 1
        before, revision.state = revision.state, "signed"
        session.add(revision)
        session.add(review)
        _write(session, person, view, rules, meaning, result, reason=amended or why, before=before)


def amend(store: Store, rules: Rules, person: Person, slide: int, reason: str, identity: str | None = None) -> None:
    """Open a signed slide again. The signatures and what was signed stay. Raises Refused."""
    reason = typed(reason)
    _check_reason(reason, "Say why")
    with store.write() as session:
        slides.latest_to_write(session, slide, identity=identity)
        view = slides.load(session, rules, slide)
        if not view.is_signed:
            raise conflict("Only a signed slide is amended.")
        review = view.review
        review.amending, review.held_by, review.held_at = reason, person.id, utc_now()
        review.version += 1
        view.revision.state = "reviewed"
        session.add(review)
        session.add(view.revision)
        append(
            session, person.actor, "amend", slide=key(view.slide.id), revision=key(view.revision.id),
            before={"state": "signed"}, after={"state": "reviewed"}, reason=reason, bundle=view.bundle,
            versions=rules.versions,
        )  # fmt: skip


def signatures(session: Session, revision: int) -> list[tuple[SignatureRow, UserRow]]:
    """All signatures under a revision with who gave them, in order."""
    rows = session.exec(
        select(SignatureRow, UserRow)
        .join(UserRow, col(UserRow.id) == col(SignatureRow.user))
        .where(SignatureRow.revision == revision)
        .order_by(col(SignatureRow.id))
    )
    return [(signature, user) for signature, user in rows]


def standing_signatures(given: list[tuple[SignatureRow, UserRow]]) -> list[tuple[SignatureRow, UserRow]]:
    """The last of the signatures that fixed a result, and who countersigned that one."""
    first = max((i for i, (signature, _) in enumerate(given) if signature.meaning != "second"), default=0)
    return given[first:]


def may_sign_second(given: list[tuple[SignatureRow, UserRow]], person: Person) -> bool:
    """Whether this person's second signature is possible: someone else signed last, and nobody countersigned."""
    return bool(given) and given[-1][0].meaning != "second" and given[-1][0].user != person.id


def as_signed(view: SlideView, given: list[tuple[SignatureRow, UserRow]]) -> SlideView:
    """A signed slide with the numbers that were signed: rules and intervals may have changed since."""
    if not view.is_signed or not given:
        return view
    result = given[-1][0].result
    limits = result["ci95"]
    people = Differential(
        result["counts"],
        result["percent"],
        None if limits is None else {t: (limits[t][0], limits[t][1]) for t in CELL_TYPES},
        result["remark"],
    )
    reviewed = replace(
        view.reviewed,
        people=Opinion(people, result["outside"]),
        withheld=withheld_words(result["counts"], result["percent"], result["versions"]["min_cells"]),
        absolute=result["absolute"],
        flags=result["flags"],
        kinds=result["kinds"],
    )
    return replace(view, reviewed=reviewed)


def reported(view: SlideView, rules: Rules, given: list[tuple[SignatureRow, UserRow]]) -> dict[str, Any]:
    """The result that stands: as signed, or as a signature would fix it now."""
    if not (view.is_signed and given):
        return result_of(view, rules)
    result = given[-1][0].result
    # Signatures of earlier versions do not say what was wrong with the slide: whoever countersigns is still warned.
    return result if "warnings" in result else result | {"warnings": _warnings(view, rules)}


def needs_reason(view: SlideView, rules: Rules) -> bool:
    """Whether the slide as it stands is signed with a reason only."""
    return any(caution.needs_reason for caution in cautions(view, rules))


def _warnings(view: SlideView, rules: Rules) -> list[str]:
    return [caution.words for caution in cautions(view, rules)]


def _check_reason(reason: str, ask: str) -> None:
    if seen_length(reason) < MIN_REASON or len(reason) > MAX_REASON:
        raise Refused(422, f"{ask}, in {MIN_REASON} to {MAX_REASON} characters.", reason=True)


def _second(session: Session, rules: Rules, person: Person, view: SlideView) -> None:
    given = signatures(session, key(view.revision.id))
    if not given or given[-1][0].meaning == "second":
        raise conflict("This slide carries two signatures already.")
    if given[-1][0].user == person.id:
        raise conflict("Another person countersigns.")
    view.review.version += 1
    session.add(view.review)
    _write(session, person, view, rules, "second", given[-1][0].result, reason=None, before="signed")


def _write(
    session: Session,
    person: Person,
    view: SlideView,
    rules: Rules,
    meaning: str,
    result: dict[str, Any],
    *,
    reason: str | None,
    before: str,
) -> None:
    revision = key(view.revision.id)
    signature = SignatureRow(
        revision=revision, user=person.id, role=person.role, meaning=meaning, reason=reason, at=utc_now(), result=result
    )
    session.add(signature)
    # With its time, so that `verify-audit` finds a signature that was dated back.
    signed = {"state": "signed", "meaning": meaning, "result": result, "at": signature.at.isoformat()}
    append(
        session, person.actor, "sign" if meaning != "second" else "sign second", slide=key(view.slide.id),
        revision=revision, before={"state": before}, after=signed, reason=reason, bundle=view.bundle,
        versions=rules.versions,
    )  # fmt: skip


def result_of(view: SlideView, rules: Rules) -> dict[str, Any]:
    """What is signed: the reviewed differential with the model's counts, everything both rest on, and the warnings."""
    people, model = view.reviewed.people, view.reviewed.model
    result = people.result
    return {
        "counts": result.counts,
        "outside": people.outside,
        "kinds": view.reviewed.kinds,
        "percent": result.percent,
        "ci95": None if result.ci95 is None else {t: list(result.ci95[t]) for t in CELL_TYPES},
        "remark": result.remark,
        "absolute": view.reviewed.absolute,
        "wbc_10e9_L": view.wbc_10e9_L,
        "flags": view.reviewed.flags,
        "proposal": {"counts": model.result.counts, "outside": model.outside},
        "changed": view.reviewed.changed,
        "bundle": view.bundle,
        "backend": view.backend,
        "expected_cells": view.completeness.expected,
        "files": view.completeness.files,
        "warnings": _warnings(view, rules),
        "versions": rules.versions,
    }
