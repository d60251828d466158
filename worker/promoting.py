"""Bundles as an administrator sees them: listed with their scorecards, put into use, taken back."""

import getpass
from pathlib import Path
from typing import Any, Final

from sqlmodel import col, select

from smear import backends, promotion, runs
from smear import bundle as bundles
from smear.audit import Actor
from smear.bundle import BadBundle, Bundle
from smear.nightly_tables import ScorecardRow
from smear.plain import PlainError
from smear.settings import Settings
from smear.store import Store
from smear.tables import BundleRow, ServingRow, key
from worker.engines.forms import StoredForm, stored_forms
from worker.engines.select import of_precision, open_engine, unfit


#: Nights whose refusal is still worth showing.
_NIGHTS: Final = 7


class NoSuchBundle(PlainError):
    """A name that stands for no bundle, or for several."""


def listed(store: Store, models: Path) -> dict[str, Any]:
    """Every registered bundle with its scorecard and engines, what serves, and what came of the latest night."""
    with store.read() as session:
        serving = session.get(ServingRow, 1)
        rows = session.exec(select(BundleRow).order_by(col(BundleRow.id))).all()
        cards = session.exec(select(ScorecardRow).order_by(col(ScorecardRow.id).desc())).all()
        latest = runs.latest(session)
        undo = promotion.to_undo(session)
        engines = backends.by_bundle(session)
    by_bundle = {card.bundle: card for card in reversed(cards) if card.bundle is not None}
    told = [
        _told(row, by_bundle.get(key(row.id)), serving, models)
        | {"engines": [use.to_object() for use in engines.get(key(row.id), [])]}
        for row in rows
    ]
    refused = [
        {"night": card.night, "challenger": card.challenger, "reason": card.reason}
        for card in cards[:_NIGHTS]
        if not card.passed
    ]
    return {
        "bundles": told,
        "refused": refused,
        "night": None if not latest else {"night": latest[0].night, "sentence": sentence(latest, cards)},
        "rollback_to": None if undo is None else next(b["bundle"] for b in told if b["row"] == undo.before),
    }


def sentence(rows: list[Any], cards: Any) -> str:
    """What came of the latest night, or why there is no challenger."""
    if (reason := runs.outcome(rows)) is not None:
        return str(reason)
    card = next((card for card in cards if card.night == rows[0].night), None)
    if card is None:
        return "the night is over and left no scorecard"
    return f"{card.challenger} {'is offered' if card.passed else 'was refused'}: {card.reason}"


def find(store: Store, models: Path, name: str) -> tuple[int, Bundle]:
    """(row number, verified bundle) of NAME, NAME@digits or a folder's name. Raises NoSuchBundle, BadBundle."""
    with store.read() as session:
        rows = session.exec(select(BundleRow)).all()
    found = [row for row in rows if name in {row.bundle_id, row.folder, row.bundle_id.split("@")[0]}]
    if len(found) != 1:
        known = ", ".join(sorted(row.bundle_id for row in rows)) or "none"
        raise NoSuchBundle(f"{name!r} names {len(found) or 'no'} bundles; there are: {known}")
    loaded = bundles.load(models / found[0].folder)
    if loaded.bundle_id != found[0].bundle_id:
        raise BadBundle(f"{loaded.folder} holds {loaded.bundle_id}, not {found[0].bundle_id}: copy it again")
    return key(found[0].id), loaded


def promote(store: Store, settings: Settings, name: str, reason: str) -> tuple[str, str]:
    """Put a bundle into use, once it runs here as the one before does; (before, now). Raises PlainError."""
    number, wanted = find(store, settings.models_folder, name)
    with store.read() as session:
        row = session.exec(
            select(BundleRow).join(ServingRow, col(ServingRow.bundle) == col(BundleRow.id))
        ).one_or_none()
    lacking = missing_forms(settings, settings.models_folder / row.folder if row else None, wanted)
    if lacking:
        raise promotion.CannotServe(
            f"{wanted.bundle_id} has no verified {', '.join(lacking)} on this host, and what serves has:"
            f" engine-build build {wanted.folder}"
        )
    open_engine(wanted, settings.engine, settings.engine_threads, settings.engines_folder, settings.precision)
    return promotion.promote(store, number, actor(), reason)


def rollback(store: Store, reason: str) -> tuple[str, str]:
    """Take the latest promotion back; (before, now). Raises CannotServe."""
    return promotion.rollback(store, actor(), reason)


def actor() -> Actor:
    """Whoever gives the command, by the system's name."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "unknown"
    return Actor(None, f"{name} (command line)"[:64], "administrator")


def missing_forms(settings: Settings, serving: Path | None, wanted: Bundle) -> list[str]:
    """Compiled forms of the chosen precision that what serves has here, verified, and the wanted bundle has not."""
    if serving is None:
        return []
    try:
        before = bundles.load(serving)
    except BadBundle:
        return []  # what serves cannot be read: anything is better
    return sorted(_verified(settings, before) - _verified(settings, wanted))


def _verified(settings: Settings, bundle: Bundle) -> set[str]:
    readable = [one for one in stored_forms(settings.engines_folder, bundle) if isinstance(one, StoredForm)]
    return {
        one.form.name
        for one in of_precision(readable, settings.precision)
        if one.form.serves and (one.form.backend == "tensorrt" or unfit(one) is None)
    }


def _told(row: BundleRow, card: ScorecardRow | None, serving: ServingRow | None, models: Path) -> dict[str, Any]:
    serves = serving is not None and serving.bundle == row.id
    return {
        "row": row.id,
        "bundle": row.bundle_id,
        "serves": serves,
        "since": serving.since.isoformat() if serves and serving else None,
        "registered": row.registered_at.isoformat(),
        "there": (models / row.folder / bundles.MANIFEST).is_file(),
        "night": card.night if card else None,
        "champion": card.champion if card else None,
        "reason": card.reason if card else None,
        "scorecard": card.card if card else None,
    }
