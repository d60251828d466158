"""Passwords given by people, checked and counted: at sign-in, at a change of password, at a signature.

Every process that asks for a password counts in the same rows (review/lockout.py), before it checks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlmodel import Session, select

from review import devices, lockout
from review.lockout import Counter, Growth, PasswordLimits
from review.passwords import Passwords
from review.people import Person, person_of
from review.refusal import Refused
from review.sessions import Sessions
from smear.audit import Actor, append
from smear.names import user_name
from smear.review_tables import MAX_USER_NAME, UserRow
from smear.store import Store
from smear.tables import key, utc_now


NOT_RIGHT: Final = "Name or password is not right."
#: Kinds of counters that begin again once the password was right.
_OWN: Final = frozenset({"device", "person", "place"})


@dataclass(frozen=True)
class Entered:
    """A sign-in that was right: who, and the tokens of the new session and of the browser."""

    person: Person
    session: str
    device: str


class TooManyAttempts(Refused):
    """429; `seconds` is how long to wait."""

    def __init__(self, seconds: float) -> None:
        whole = int(seconds) + 1
        length = f"{whole} s" if whole <= 90 else f"{round(whole / 60)} min"
        super().__init__(429, f"Too many attempts. Wait {length}, or ask an administrator.", retry_after=whole)
        self.seconds = whole


class Attempts:
    """Checks passwords, and slows down those who guess."""

    def __init__(
        self,
        store: Store,
        passwords: Passwords,
        sessions: Sessions,
        limits: PasswordLimits,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store, self._passwords, self._sessions, self._limits, self._now = store, passwords, sessions, limits, now

    def sign_in(self, name: str, password: str, address: str, device: str | None) -> Entered:
        """Open a session. Raises TooManyAttempts, or Refused (401) in the same words whatever is wrong.

        A browser that this user has signed in with before has an allowance of its own: what others do under the name,
        or from the same address, does not reach it.
        """
        name, now = user_name(name), self._now()
        with self._store.read() as session:
            row = _account(session, name)
            known = row is not None and devices.knows(session, device, key(row.id), now)
            counters = self._known(name, device or "") if known else self._unknown(name, address)
            wait = lockout.waits(session, counters, now)
        self._take(counters, wait)
        kept = None if row is None else row.password_hash
        if not self._passwords.fits(kept, password) or row is None:
            self._refused(row)
            raise Refused(401, NOT_RIGHT)
        with self._store.write() as session:
            entered = self._open(session, key(row.id), row.password_hash, device)
            self._right(session, counters)
            append(session, entered.person.actor, "sign in")
        return entered

    def confirm(self, person: Person, password: str) -> None:
        """Check that a signed-in person is still who signed in. Raises TooManyAttempts, or Refused (422).

        For everything that asks for one's own password again. Only this person's sessions count here: attempts at
        the sign-in page do not use the allowance up.
        """
        counters = {Counter("person", lockout.of_name(person.name), str(person.id)): self._limits.place}
        with self._store.read() as session:
            row = session.get_one(UserRow, person.id)
            wait = lockout.waits(session, counters, self._now())
        self._take(counters, wait)
        if not row.active or not self._passwords.fits(row.password_hash, password):
            self._refused(row, "password refused")
            raise Refused(422, "The password is not right.")
        with self._store.write() as session:
            self._right(session, counters)

    def stay(self, person: Person, kept: str, device: str | None) -> Entered:
        """The session after a change of one's own password to the one with this hash. Raises Refused (401)."""
        with self._store.write() as session:
            return self._open(session, person.id, kept, device)

    def _open(self, session: Session, user: int, kept: str, device: str | None) -> Entered:
        row = session.get_one(UserRow, user, with_for_update={"key_share": True}, populate_existing=True)
        # Checking took a moment: a password that was reset meanwhile, or an account that was closed, opens nothing.
        if not row.active or row.password_hash != kept:
            raise Refused(401, NOT_RIGHT)
        token = self._sessions.add(session, user)
        return Entered(person_of(row), token, devices.remember(session, device, user, self._now()))

    def _take(self, counters: dict[Counter, Growth], wait: float) -> None:
        if not wait:
            with self._store.write() as session:
                wait = lockout.take(session, counters, self._now())
        if wait:
            raise TooManyAttempts(wait)

    def _right(self, session: Session, counters: dict[Counter, Growth]) -> None:
        # Where only this person tries, the slips are forgiven; failures that others may have made stay counted.
        lockout.give_back(session, {c: g for c, g in counters.items() if c.kind not in _OWN})
        for counter in counters:
            if counter.kind in _OWN:
                lockout.forget(session, counter)

    def _refused(self, row: UserRow | None, action: str = "sign-in refused") -> None:
        actor = Actor(None, "unknown", "-") if row is None else Actor(row.id, row.name, "-")
        with self._store.write() as session:
            append(session, actor, action)

    def _known(self, name: str, device: str) -> dict[Counter, Growth]:
        return {Counter("device", lockout.of_name(name), devices.digest(device)): self._limits.place}

    def _unknown(self, name: str, address: str) -> dict[Counter, Growth]:
        subject, place = lockout.of_name(name), lockout.of_address(address)
        return {
            Counter("address", place): self._limits.address,
            Counter("name", subject): self._limits.name,
            Counter("place", subject, place): self._limits.place,
        }


def _account(session: Session, name: str) -> UserRow | None:
    row = session.exec(select(UserRow).where(UserRow.name == name[:MAX_USER_NAME])).one_or_none()
    return row if row is not None and row.name == name and row.active else None
