"""What was signed: the latest signature of each revision, with the one that countersigned it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from smear.completeness import Completeness
from smear.report import SignedResult
from smear.review_tables import SignatureRow, UserRow


#: The meaning of a countersignature; every other meaning fixes a result.
_SECOND = "second"


@dataclass(frozen=True)
class Signed:
    """A signed result with what it rests on: bundle, backend, the model's counts and how many pictures had come at that
    time; None if unknown.
    """

    result: SignedResult
    bundle: str | None
    backend: str | None
    proposal: Mapping[str, int] | None
    at: datetime
    completeness: Completeness | None = None


def latest_signatures(session: Session, revisions: Sequence[int | None]) -> dict[int, Signed]:
    """By revision, the signature that stands; revisions without one are missing."""
    rows = session.exec(
        select(SignatureRow, UserRow.full_name)
        .join(UserRow, col(UserRow.id) == col(SignatureRow.user))
        .where(col(SignatureRow.revision).in_(revisions))
        .order_by(col(SignatureRow.id))
    )
    standing: dict[int, tuple[SignatureRow, str]] = {}
    second: dict[int, tuple[SignatureRow, str]] = {}
    for row, name in rows:
        if row.meaning != _SECOND:
            standing[row.revision] = (row, name)
            second.pop(row.revision, None)
        else:
            second[row.revision] = (row, name)
    return {
        revision: _signed(row, name, second.get(revision))
        for revision, (row, name) in standing.items()
        # Without counts a signature does not say what was signed.
        if row.result.get("counts")
    }


def _signed(row: SignatureRow, name: str, second: tuple[SignatureRow, str] | None) -> Signed:
    # Signatures of earlier versions may lack keys that later ones have.
    said: dict[str, Any] = row.result
    return Signed(
        SignedResult(
            counts=said["counts"],
            percent=said.get("percent"),
            ci95=said.get("ci95"),
            signed_by=name,
            signed_at=row.at.isoformat(),
            countersigned_by=None if second is None else second[1],
            countersigned_at=None if second is None else second[0].at.isoformat(),
            amended=row.meaning == "amended",
            flags=said.get("flags"),
        ),
        bundle=said.get("bundle"),
        backend=said.get("backend"),
        proposal=(said.get("proposal") or {}).get("counts"),
        at=row.at,
        completeness=Completeness(said["expected_cells"], said["files"]) if "files" in said else None,
    )
