"""Stage `offer`: a challenger that passed becomes a bundle among the others, in one step; one that did not goes."""

import shutil
from pathlib import Path
from typing import Any, Final

from sqlmodel import Session, col, select

from smear import bundle, promotion
from smear.audit import Actor
from smear.bundle import Bundle
from smear.nightly_tables import DriftRow, PromotionRow, ScorecardRow
from smear.plain import PlainError
from smear.review_tables import MAX_TEXT
from smear.settings import Settings
from smear.store import Store
from smear.tables import BundleRow, DifferentialRow, PredictionRow, ServingRow, key, utc_now
from trainer.nightly import snapshot


_ROOM: Final = Actor(None, "nightly fine-tune", "program")
#: Whatever was put into use, or has anything stored of it, stands in one of these.
_OF_USE: Final = (
    ServingRow.bundle, PromotionRow.bundle, PromotionRow.before, DriftRow.bundle, DifferentialRow.bundle,
    PredictionRow.bundle,
)  # fmt: skip


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


def withdraw(store: Store, settings: Settings) -> list[str]:
    """Take back what was offered and nobody put into use, but for the newest; the bundles that went.

    A challenger is 33 MB a night. One that ever served, or of which anything is stored, stays for ever.
    """
    with store.write() as session:
        # A promotion locks the same row first, so nothing goes that somebody is about to put into use.
        session.exec(select(ServingRow).with_for_update()).all()
        cards = session.exec(
            select(ScorecardRow).where(col(ScorecardRow.bundle).is_not(None)).order_by(col(ScorecardRow.id).desc())
        ).all()
        gone = []
        for card in [card for card in cards if not _used(session, card.bundle)][settings.nightly_keep :]:
            row = session.get_one(BundleRow, card.bundle)
            gone.append((row.bundle_id, row.folder))
            card.bundle = None
            session.add(card)
            session.flush()
            session.delete(row)
    for bundle_id, folder in gone:
        shutil.rmtree(settings.models_folder / folder, ignore_errors=True)
        shutil.rmtree(settings.engines_folder / bundle_id, ignore_errors=True)
    return [bundle_id for bundle_id, _ in gone]


def _used(session: Session, number: int | None) -> bool:
    # One look each into an index: of millions of predictions, all different bundles would take long.
    return any(session.exec(select(column).where(col(column) == number).limit(1)).first() for column in _OF_USE)


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
