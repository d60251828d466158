"""Stage `offer`: a challenger that passed becomes a bundle among the others, in one step; one that did not goes."""

import shutil
from pathlib import Path
from typing import Any, Final

from sqlmodel import select

from smear import bundle, promotion
from smear.audit import Actor
from smear.bundle import Bundle
from smear.nightly_tables import PromotionRow, ScorecardRow
from smear.plain import PlainError
from smear.review_tables import MAX_TEXT
from smear.settings import Settings
from smear.store import Store
from smear.tables import BundleRow, ServingRow, key, utc_now
from trainer.nightly import snapshot


_ROOM: Final = Actor(None, "nightly fine-tune", "program")


class AnotherThere(PlainError):
    """Where the challenger belongs lies another bundle; its text says which."""


def staging_folder(models: Path, night: str) -> Path:
    """Where a challenger lies until it is offered: beside the others, hidden, so that offering it is one rename."""
    return models / f".night-{night}"


def offer(store: Store, settings: Settings, night: str, name: str, card: dict[str, Any]) -> dict[str, Any]:
    """Keep the scorecard, and where it says so the bundle. Doing it again after a crash changes nothing."""
    staging = staging_folder(settings.models_folder, night)
    passed = bool(card["passed"])
    challenger = _put_in_place(settings.models_folder, staging, name, card["challenger"]) if passed else None
    with store.write() as session:
        row = session.exec(select(ScorecardRow).where(ScorecardRow.night == night)).one_or_none()
        if row is None:
            number = None if challenger is None else _register(session, challenger)
            row = ScorecardRow(
                night=night, bundle=number, challenger=card["challenger"], champion=card["champion"], passed=passed,
                reason=str(card["reason"])[:MAX_TEXT], card=card, at=utc_now(),
            )  # fmt: skip
            session.add(row)
            session.flush()
        number = row.bundle
    shutil.rmtree(staging, ignore_errors=True)
    if not passed:
        # What engine_build compiled of it; a cache, and nobody will ask for it again.
        shutil.rmtree(settings.engines_folder / card["challenger"], ignore_errors=True)
    promoted = False
    if number is not None and settings.promote == "auto":
        promoted = _promote(store, number)
    return {"passed": passed, "reason": card["reason"], "challenger": card["challenger"], "promoted": promoted}


def sweep(models: Path, folder: Path, keep: str | None) -> None:
    """Remove what nights that are over left behind, but for scorecards; `keep` is the night under way."""
    for left in models.glob(".night-*"):
        if left.name != f".night-{keep}":
            shutil.rmtree(left, ignore_errors=True)
    for night in folder.glob("*"):
        if night.name != keep and night.is_dir():
            for name in (*snapshot.LEFT_BEHIND, "checkpoint.pt", "checkpoint.partial"):
                (night / name).unlink(missing_ok=True)


def _put_in_place(models: Path, staging: Path, name: str, bundle_id: str) -> Bundle:
    """One rename; a stage that was done before finds it there already. Raises AnotherThere, BadBundle."""
    final = models / name
    if not final.exists():
        (staging / name).rename(final)
    made = bundle.load(final)
    if made.bundle_id != bundle_id:
        raise AnotherThere(f"{final} holds {made.bundle_id} already, so {bundle_id} has no place: move it away")
    return made


def _register(session: Any, made: Bundle) -> int:
    row = session.exec(select(BundleRow).where(BundleRow.bundle_id == made.bundle_id)).one_or_none()
    if row is None:
        row = BundleRow(bundle_id=made.bundle_id, folder=made.folder.name, registered_at=utc_now())
        session.add(row)
        session.flush()
    return key(row.id)


def _promote(store: Store, number: int) -> bool:
    with store.read() as session:
        if session.exec(select(PromotionRow).where(PromotionRow.bundle == number)).first() is not None:
            # The stage was done before, up to this line; and a person may have taken it back since.
            return session.exec(select(ServingRow.bundle)).one_or_none() == number
    try:
        promotion.promote(store, number, _ROOM, "WNET_PROMOTE=auto: it kept every rule of its gate")
    except promotion.CannotServe:
        return False  # somebody put it into use at this very moment
    return True
