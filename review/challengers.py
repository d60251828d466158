"""Bundles as the page shows them: what serves, what a night offers or why nothing, put into use, taken back."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from review.people import Person
from review.refusal import Refused, conflict, not_there
from smear import nightly_packages, promotion, runs
from smear.backends import BackendUse
from smear.backends import by_bundle as engines_by_bundle
from smear.drift import Alarm, alarms, table
from smear.nightly_tables import PromotionRow, RunRow, ScorecardRow
from smear.store import Store
from smear.tables import BundleRow, ServingRow, key, utc_now


@dataclass(frozen=True)
class Known:
    """A registered bundle: whether it serves, its scorecard if a night made it, whether it may be put into use here.

    `engines` made its results, the one with most of them first.
    """

    number: int
    bundle: str
    registered_at: datetime
    serves: bool
    card: dict[str, Any] | None
    night: str | None
    may_serve: bool
    engines: list[BackendUse]


@dataclass(frozen=True)
class Challengers:
    """All that the page of bundles shows."""

    bundles: list[Known]
    sentence: str
    refused: list[ScorecardRow]
    back_to: str | None
    promotion: int | None
    alarms: list[Alarm]
    drift: list[dict[str, Any]]


def look(session: Session, nightly_at: str = "off") -> Challengers:
    """Bundles, the newest first; the latest night, or what keeps nights from this host; drift."""
    serving = session.get(ServingRow, 1)
    rows = session.exec(select(BundleRow).order_by(col(BundleRow.id).desc())).all()
    cards = session.exec(select(ScorecardRow).order_by(col(ScorecardRow.id).desc()).limit(30)).all()
    by_bundle = {card.bundle: card for card in cards if card.bundle is not None}
    served, engines = _served(session), engines_by_bundle(session)
    told = []
    for row in rows:
        card = by_bundle.get(key(row.id))
        serves = serving is not None and serving.bundle == row.id
        may = not serves and (key(row.id) in served or (card is not None and card.passed))
        told.append(
            Known(key(row.id), row.bundle_id, row.registered_at, serves, card.card if card else None,
                  card.night if card else None, may, engines.get(key(row.id), []))
        )  # fmt: skip
    undo = promotion.to_undo(session)
    back = None if undo is None else next((one.bundle for one in told if one.number == undo.before), None)
    today = utc_now().date()
    return Challengers(
        told, _sentence(session, cards, nightly_at), [card for card in cards if not card.passed][:7], back,
        None if undo is None else undo.id, alarms(session, today), table(session, today),
    )  # fmt: skip


def promote(store: Store, person: Person, bundle: int, reason: str) -> None:
    """Put a challenger that passed its gate, or a bundle that served before, into use. Raises Refused."""
    with store.read() as session:
        found = next((one for one in look(session).bundles if one.number == bundle), None)
    if found is None:
        raise not_there("bundle")
    if not found.may_serve:
        why = "It serves already." if found.serves else "It has neither passed a night's gate nor served before."
        raise conflict(f"{why} On the command line: worker models promote.")
    _change(lambda: promotion.promote(store, bundle, person.actor, reason))


def roll_back(store: Store, person: Person, reason: str, seen: int | None = None) -> None:
    """Take the latest promotion back, if it is the one of that row number, which was seen. Raises Refused."""
    _change(lambda: promotion.rollback(store, person.actor, reason, seen))


def _change(act: Any) -> None:
    try:
        act()
    except promotion.CannotServe as error:
        words = str(error)
        raise Refused(422 if words.startswith("say why") else 409, f"{words[0].upper()}{words[1:]}.") from None


def _served(session: Session) -> set[int]:
    rows = session.exec(select(PromotionRow)).all()
    return {row.before for row in rows} | {row.bundle for row in rows}


def _sentence(session: Session, cards: Any, nightly_at: str) -> str:
    rows = runs.latest(session)
    lacking = nightly_packages.sentence(nightly_at, rows[0].created_at if rows else None, utc_now())
    night = f"Night of {rows[0].night}: {_outcome(rows, cards)}" if rows else "No night has run yet."
    return night if lacking is None else f"{night} {lacking}"


def _outcome(rows: list[RunRow], cards: Any) -> str:
    reason = runs.outcome(rows)
    if reason is None:
        card = next((card for card in cards if card.night == rows[0].night), None)
        verdict = "" if card is None else "is offered" if card.passed else "was refused"
        reason = "" if card is None else f"{card.challenger} {verdict}: {card.reason}"
    return reason
