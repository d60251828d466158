"""Confirming by password: who signs gives it again after a while, under the same limits as at the sign-in."""

import time

from review.desk import Desk
from review.refusal import Refused
from review.sessions import SignedIn
from smear.audit import append
from smear.review_tables import UserRow


#: HTTP's "precondition required": the page answers it with the field for the password.
PASSWORD_REQUIRED = 428


def confirm_password(desk: Desk, who: SignedIn, address: str, password: str | None) -> None:
    """Check the password of someone who signs, where it is due. Raises Refused: 428 without one, 403 with a wrong one.

    Wrong ones count with failed sign-ins of that name and address; after too many it is 429.
    """
    if not desk.sessions.password_due(who.digest):
        return
    if not password:
        raise Refused(PASSWORD_REQUIRED, "Type your password to sign.", password=True)
    if not _fits(desk, who, address, password):
        with desk.store.write() as session:
            append(session, who.person.actor, "password refused")
        raise Refused(403, "The password is not right.", password=True)
    desk.sessions.password_given(who.digest)


def _fits(desk: Desk, who: SignedIn, address: str, password: str) -> bool:
    """Whether the password is this person's; the attempt counts before it is checked, as at the sign-in."""
    name, now = who.person.name, time.monotonic()
    waits = max(desk.failed_names.waits(name, now), desk.failed_addresses.waits(address, now))
    if waits:
        minutes = int(waits // 60) + 1
        raise Refused(429, f"Too many attempts. Wait {minutes} min, or ask an administrator.", password=True)
    with desk.store.read() as session:
        kept = session.get_one(UserRow, who.person.id).password_hash
    desk.failed_names.note(name, now)
    desk.failed_addresses.note(address, now)
    if not desk.passwords.fits(kept, password):
        return False
    desk.failed_names.forget(name)
    desk.failed_addresses.take_back(address)
    return True
