"""Sessions: a random token in a cookie, its hash in a row, and the token against forged requests that belongs to it."""

import contextlib
import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlmodel import Session, col, delete, select, update

from review.people import Person, person_of
from smear.review_tables import SessionRow, UserRow
from smear.store import Store, StoreUnavailable
from smear.tables import utc_now


COOKIE: Final = "wnet_session"
#: Before anybody has signed in, the sign-in form itself is guarded by this one.
FORM_COOKIE: Final = "wnet_form"
LONGEST: Final = timedelta(hours=12)
#: `seen_at` is written at most this often.
_TOUCH: Final = timedelta(minutes=1)
#: What was found out about a token is believed for so long by a process that did not end it itself.
_BELIEVED_SECONDS: Final = 2.0
_MAX_TOKEN: Final = 200


@dataclass(frozen=True)
class SignedIn:
    """A session that holds: who, the token against forged requests, and a key to count by."""

    person: Person
    csrf: str
    digest: str


def new_token() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


def csrf_of(token: str) -> str:
    """What forms of this session carry: known to our pages only, and of no use without the cookie."""
    return hmac.new(token.encode(), b"wnet csrf", hashlib.sha256).hexdigest()


def same(a: str, b: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(a.encode("utf-8", "replace"), b.encode("utf-8", "replace"))


class Sessions:
    """Opens, finds and ends sessions."""

    def __init__(
        self,
        store: Store,
        idle_minutes: float,
        password_minutes: float = 15.0,
        now: Callable[[], datetime] = utc_now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._idle, self._now, self._clock = store, timedelta(minutes=idle_minutes), now, clock
        self._password_holds = timedelta(minutes=password_minutes)
        self._believed: dict[str, tuple[float, SignedIn]] = {}
        self._turn = threading.Lock()

    def open(self, user: int) -> str:
        """A new session of someone who just gave the password; its token. One from a browser is never taken up."""
        with self._store.write() as session:
            return self.add(session, user)

    def add(self, session: Session, user: int) -> str:
        """As `open`, in the caller's transaction."""
        token, now = new_token(), self._now()
        session.exec(delete(SessionRow).where(col(SessionRow.created_at) < now - LONGEST))
        session.add(SessionRow(token_sha256=_digest(token), user=user, created_at=now, seen_at=now, password_at=now))
        return token

    def find(self, token: str | None, *, touch: bool = False) -> SignedIn | None:
        """Who that token is; None where the session has ended. With `touch` it stays alive for longer."""
        if not token or len(token) > _MAX_TOKEN:
            return None
        digest = _digest(token)
        with self._turn:
            believed = self._believed.get(digest)
        if believed is not None and not touch and self._clock() < believed[0]:
            return believed[1]
        now = self._now()
        with self._store.read() as session:
            found = session.exec(
                select(SessionRow, UserRow)
                .join(UserRow, col(UserRow.id) == col(SessionRow.user))
                .where(SessionRow.token_sha256 == digest, col(UserRow.active).is_(True))
            ).one_or_none()
        if found is None or now - found[0].created_at > LONGEST or now - found[0].seen_at > self._idle:
            self._forget(digest)
            return None
        row, user = found
        if touch and now - row.seen_at > min(_TOUCH, self._idle / 4):
            # A database that takes no writes for a while can still be read.
            with contextlib.suppress(StoreUnavailable), self._store.write() as session:
                if (still := session.get(SessionRow, row.id)) is not None:
                    still.seen_at = now
                    session.add(still)
        signed_in = SignedIn(person_of(user), csrf_of(token), digest)
        with self._turn:
            if len(self._believed) > 1000:
                self._believed.clear()
            self._believed[digest] = (self._clock() + _BELIEVED_SECONDS, signed_in)
        return signed_in

    def believed(self, token: str | None) -> SignedIn | None:
        """Who that token is where it was looked up a moment ago; asks nobody, so that an event loop may."""
        if not token or len(token) > _MAX_TOKEN:
            return None
        with self._turn:
            found = self._believed.get(_digest(token))
        return found[1] if found is not None and self._clock() < found[0] else None

    def end(self, token: str) -> None:
        """Sign out."""
        digest = _digest(token)
        with self._store.write() as session:
            session.exec(delete(SessionRow).where(col(SessionRow.token_sha256) == digest))
        self._forget(digest)

    def password_due(self, digest: str) -> bool:
        """Whether this session has to give its password before it signs."""
        with self._store.read() as session:
            given = session.exec(select(SessionRow.password_at).where(SessionRow.token_sha256 == digest)).one_or_none()
        return given is None or not self._password_holds or self._now() - given > self._password_holds

    def password_given(self, digest: str) -> None:
        """This session gave its password just now."""
        with self._store.write() as session:
            session.execute(
                update(SessionRow).where(col(SessionRow.token_sha256) == digest).values(password_at=self._now())
            )

    def believe_nothing(self) -> None:
        """After roles or accounts have changed: ask the database again."""
        with self._turn:
            self._believed.clear()

    def _forget(self, digest: str) -> None:
        with self._turn:
            self._believed.pop(digest, None)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
