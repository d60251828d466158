"""What changed of a slide's sidecar after it was signed: what was signed stays, and the page says that it is older."""

from sqlmodel import Session, col, select

from smear.review_tables import SignatureRow
from smear.sidecar_changes import changes_since
from smear.tables import RevisionRow


def signed_wbc(session: Session, revision: RevisionRow) -> float | None:
    """The WBC count (10^9 cells a litre) that a revision's numbers rest on: the signed one while it is signed."""
    if revision.state == "signed" and (signature := _latest_signature(session, revision)) is not None:
        facts = signature.result
    else:
        facts = revision.sidecar or {}
    wbc: float | None = facts.get("wbc_10e9_L")
    return wbc


def changed_since(session: Session, revision: RevisionRow) -> str | None:
    """What changed since the latest signature, in words, as "WBC 5.1 → 6.0"; None where nothing did."""
    if not revision.changed_after_signing or (signature := _latest_signature(session, revision)) is None:
        return None
    return changes_since(revision.changed_after_signing, signature.at)


def _latest_signature(session: Session, revision: RevisionRow) -> SignatureRow | None:
    """The latest signature under a result; a second one only confirms what the first one signed."""
    return session.exec(
        select(SignatureRow)
        .where(SignatureRow.revision == revision.id, SignatureRow.meaning != "second")
        .order_by(col(SignatureRow.id).desc())
        .limit(1)
    ).one_or_none()
