"""People: accounts, their roles and passwords. Nobody is deleted: what somebody signed keeps its name."""

import re
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func
from sqlmodel import Session, col, delete, select

from review import devices, lockout
from review.passwords import Passwords, check_new, one_time
from review.refusal import Refused, conflict, not_there
from review.roles import ROLES, Act, allows
from review.words import typed
from smear.audit import CONSOLE, Actor, append
from smear.names import user_name
from smear.review_tables import MAX_USER_NAME, SessionRow, UserRow
from smear.store import Store
from smear.tables import key, utc_now


FIRST: Final = "administrator"
_NAME: Final = re.compile(rf"[a-z0-9][a-z0-9._-]{{0,{MAX_USER_NAME - 1}}}")


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in."""

    id: int
    name: str
    full_name: str
    role: str
    must_change: bool

    def may(self, act: Act) -> bool:
        """Whether this person's role allows an act."""
        return allows(self.role, act)

    @property
    def actor(self) -> Actor:
        """As the audit names it."""
        return Actor(self.id, self.name, self.role)


def person_of(row: UserRow) -> Person:
    """A row as the noun that is passed around."""
    return Person(key(row.id), row.name, row.full_name, row.role, row.must_change)


def everybody(session: Session) -> list[UserRow]:
    """All accounts, active ones first, by name."""
    return list(session.exec(select(UserRow).order_by(col(UserRow.active).desc(), col(UserRow.name))))


def add(store: Store, passwords: Passwords, by: Actor, name: str, full_name: str, role: str) -> str:
    """A new account; its one-time password. Raises Refused."""
    name, full_name = user_name(name), " ".join(typed(full_name).split())
    if not _NAME.fullmatch(name):
        raise Refused(422, "A user name has letters a to z, digits, dot, dash and underscore, 64 at most.")
    if not 0 < len(full_name) <= 120:
        raise Refused(422, "Give the person's full name, 120 characters at most.")
    _check_role(role)
    password = one_time()
    hashed = passwords.hash(password)
    with store.write() as session:
        if session.exec(select(UserRow).where(UserRow.name == name)).one_or_none() is not None:
            raise conflict(f"There is a user {name} already.")
        session.add(
            UserRow(
                name=name, full_name=full_name, role=role, password_hash=hashed, must_change=True, active=True,
                created_at=utc_now(),
            )
        )  # fmt: skip
        append(session, by, "add user", after={"user": name, "role": role})
    return password


def change_role(store: Store, by: Actor, user: int, role: str) -> None:
    """Give a person another role; ends that person's sessions, so that no page shows what is no longer allowed."""
    _check_role(role)
    with store.write() as session:
        row = _row(session, user)
        if row.role == role:
            return
        before, row.role = row.role, role
        session.add(row)
        _end_sessions(session, user)
        append(session, by, "change role", before={"user": row.name, "role": before}, after={"role": role})
        _keep_an_administrator(session)


def set_active(store: Store, by: Actor, user: int, *, active: bool) -> None:
    """Close an account, or open it again."""
    with store.write() as session:
        row = _row(session, user)
        if row.active == active:
            return
        row.active = active
        session.add(row)
        _end_sessions(session, user)
        _distrust(session, row)
        append(session, by, "open account" if active else "close account", after={"user": row.name})
        _keep_an_administrator(session)


def reset_password(store: Store, passwords: Passwords, by: Actor, user: int) -> str:
    """A new one-time password for a user who lost theirs. Ends their sessions, and the lock-out of their name.

    In every process: what was counted lies in the database.
    """
    password = one_time()
    hashed = passwords.hash(password)
    with store.write() as session:
        row = _row(session, user, lock=True)
        row.password_hash, row.must_change = hashed, True
        session.add(row)
        _end_sessions(session, user)
        _distrust(session, row)
        append(session, by, "reset password", after={"user": row.name})
    return password


def change_password(store: Store, passwords: Passwords, person: Person, old: str, new: str) -> str:
    """A person's own new password; its hash. Ends all of their sessions, this one too. Raises Refused."""
    with store.read() as session:
        kept = _row(session, person.id).password_hash
    if not passwords.fits(kept, old):
        raise Refused(422, "The current password is not right.")
    check_new(new, person.name)
    if old == new:
        raise Refused(422, "Choose another password than the current one.")
    hashed = passwords.hash(new)
    with store.write() as session:
        row = _row(session, person.id, lock=True)
        # An administrator may have reset it in the same moment: that one holds.
        if row.password_hash != kept or not row.active:
            raise conflict("Your password was reset just now. Sign in again.")
        row.password_hash, row.must_change = hashed, False
        session.add(row)
        _end_sessions(session, person.id)
        _distrust(session, row)
        append(session, person.actor, "change password")
    return hashed


def first_administrator(store: Store, passwords: Passwords) -> str | None:
    """The one-time password of the first administrator; None once somebody has taken it up.

    As long as nobody has, each start gives a new one: a log that was lost locks nobody out.
    """
    with store.read() as session:
        users = everybody(session)
    if not users:
        return add(store, passwords, CONSOLE, FIRST, "Administrator", "administrator")
    if len(users) == 1 and users[0].must_change:
        return reset_password(store, passwords, CONSOLE, key(users[0].id))
    return None


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise Refused(422, f"There is no role {role}; there are {', '.join(ROLES)}.")


def _row(session: Session, user: int, *, lock: bool = False) -> UserRow:
    row = session.get(UserRow, user, with_for_update={"key_share": True} if lock else None)
    if row is None:
        raise not_there("user")
    return row


def _keep_an_administrator(session: Session) -> None:
    # Asked after the audit was written, for which all queue: of two who unmake each other, one comes first.
    session.flush()
    left = session.exec(
        select(func.count()).where(UserRow.role == "administrator", col(UserRow.active).is_(True))
    ).one()
    if left == 0:
        raise conflict("This is the last administrator: make another one first.")


def _end_sessions(session: Session, user: int) -> None:
    session.exec(delete(SessionRow).where(col(SessionRow.user) == user))


def _distrust(session: Session, row: UserRow) -> None:
    """The password no longer holds: browsers that gave it are strangers, and failures to give it count no more."""
    devices.forget(session, key(row.id))
    lockout.clear(session, lockout.of_name(row.name))
