"""What changed of a slide's sidecar after it was signed: what was signed stays, and the page says that it is older."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlmodel import Session, col, select

from smear.review_tables import SignatureRow
from smear.tables import RevisionRow


_NAMES: Final = {
    "wbc_10e9_L": "WBC",
    "order_id": "order",
    "specimen": "specimen",
    "scanned_at": "scan time",
    "stain": "stain",
    "expected_cells": "expected cells",
}


def signed_wbc(session: Session, revision: RevisionRow) -> float | None:
    """The WBC count (10^9 cells a litre) that a revision's numbers rest on: the signed one while it is signed."""
    if revision.state == "signed" and (signature := _latest_signature(session, revision)) is not None:
        told = signature.result
    else:
        told = revision.sidecar or {}
    wbc: float | None = told.get("wbc_10e9_L")
    return wbc


def changed_since(session: Session, revision: RevisionRow) -> str | None:
    """What changed since the latest signature, in words, as "WBC 5.1 → 6"; None where nothing did."""
    if not revision.changed_after_signing or (signature := _latest_signature(session, revision)) is None:
        return None
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for change in revision.changed_after_signing:
        if datetime.fromisoformat(change["at"]) > signature.at:
            before = {**change["before"], **before}
            after |= change["after"]
    return in_words(before, after) or None


def in_words(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Fields of a sidecar that differ, one after the other."""
    return ", ".join(
        f"{_NAMES.get(name, name)} {_value(before[name])} → {_value(after.get(name))}"
        for name in before
        if before[name] != after.get(name)
    )


def _value(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _latest_signature(session: Session, revision: RevisionRow) -> SignatureRow | None:
    """The latest signature under a result; a second one only confirms what the first one signed."""
    return session.exec(
        select(SignatureRow)
        .where(SignatureRow.revision == revision.id, SignatureRow.meaning != "second")
        .order_by(col(SignatureRow.id).desc())
        .limit(1)
    ).one_or_none()
