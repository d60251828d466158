"""Which bundle serves, changed: promoted with a reason, rolled back in one step, each with a line in the audit."""

from typing import Final

from sqlmodel import Session, col, select

from smear.audit import Actor, append
from smear.nightly_tables import PromotionRow
from smear.plain import PlainError
from smear.store import Store
from smear.tables import BundleRow, ServingRow, key, utc_now


MIN_REASON: Final = 5
MAX_REASON: Final = 2000


class CannotServe(PlainError):
    """A promotion or a rollback that is not done; its text says why."""


def promote(store: Store, bundle: int, actor: Actor, reason: str, *, kind: str = "promote") -> tuple[str, str]:
    """Let the bundle of that row serve; (what served, what serves now). Raises CannotServe.

    Whether it may serve on the hosts at work is asked by whoever calls.
    """
    reason = _reason(reason)
    with store.write() as session:
        serving = _serving(session)
        row = session.get(BundleRow, bundle)
        if row is None:
            raise CannotServe("there is no such bundle")
        if serving.bundle == bundle:
            raise CannotServe(f"{row.bundle_id} serves already")
        before = serving.bundle
        session.add(
            PromotionRow(bundle=bundle, before=before, kind=kind, who=actor.who[:64], reason=reason, at=utc_now())
        )
        return _serve(session, serving, before, bundle, actor, kind, reason)


def rollback(store: Store, actor: Actor, reason: str, seen: int | None = None) -> tuple[str, str]:
    """Take the latest promotion back: what served before it serves again. Raises CannotServe.

    With `seen`, the row number of the promotion that the person was shown, also where another came since.
    """
    reason = _reason(reason)
    with store.write() as session:
        serving = _serving(session)
        last = to_undo(session)
        if last is None or last.bundle != serving.bundle:
            raise CannotServe("there is no promotion to take back")
        if seen not in (None, last.id):
            raise CannotServe("another model was put into use after this page was opened: look at what is in use now")
        last.undone = True
        session.add(last)
        session.add(
            PromotionRow(bundle=last.before, before=last.bundle, kind="rollback", who=actor.who[:64], reason=reason,
                         at=utc_now(), undone=True)
        )  # fmt: skip
        return _serve(session, serving, last.bundle, last.before, actor, "rollback", reason)


def to_undo(session: Session) -> PromotionRow | None:
    """The promotion that a rollback would take back."""
    return session.exec(
        select(PromotionRow).where(col(PromotionRow.undone).is_(False)).order_by(col(PromotionRow.id).desc()).limit(1)
    ).first()


def _serving(session: Session) -> ServingRow:
    row = session.exec(select(ServingRow).where(ServingRow.id == 1).with_for_update()).one_or_none()
    if row is None:
        raise CannotServe("no bundle serves yet: run `worker migrate` (or `make run`)")
    return row


def _serve(
    session: Session, serving: ServingRow, before: int, after: int, actor: Actor, kind: str, reason: str
) -> tuple[str, str]:
    serving.bundle, serving.since = after, utc_now()
    session.add(serving)
    names = {key(row.id): row.bundle_id for row in session.exec(select(BundleRow))}
    append(
        session, actor, f"{kind} bundle"[:32], before={"bundle": names[before]}, after={"bundle": names[after]},
        reason=reason, bundle=names[after],
    )  # fmt: skip
    return names[before], names[after]


def _reason(text: str) -> str:
    text = text.strip()
    if not MIN_REASON <= len(text) <= MAX_REASON:
        raise CannotServe(f"say why, in {MIN_REASON} to {MAX_REASON} characters")
    return text
