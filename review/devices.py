"""Browsers that are known: a random token in a cookie, its hash in a row for each user who signed in there.

After OWASP's device cookies: guesses made elsewhere never lock such a browser out. The token is replaced at every
sign-in, and gives nothing but an allowance of its own.
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Final

from sqlmodel import Session, col, delete, select, update

from smear.review_tables import DeviceRow
from smear.upsert import insert_or_update


COOKIE: Final = "wnet_device"
#: A browser without a sign-in for so long is a stranger again.
KEPT: Final = timedelta(days=90)
#: Of one user so many browsers are known, the latest ones.
MAX_DEVICES: Final = 20
_MAX_TOKEN: Final = 200


def digest(token: str) -> str:
    """As the row has it."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def knows(session: Session, token: str | None, user: int, now: datetime) -> bool:
    """Whether that user has signed in in this browser before, with the password that holds now."""
    if not token or len(token) > _MAX_TOKEN:
        return False
    row = session.get(DeviceRow, (digest(token), user))
    return row is not None and now - row.seen_at < KEPT


def remember(session: Session, old: str | None, user: int, now: datetime) -> str:
    """That user has just signed in: the browser's next token. What was known of the browser under `old` goes with it.

    A planted token is worth nothing afterwards.
    """
    token = secrets.token_urlsafe(32)
    if old and len(old) <= _MAX_TOKEN:
        # In place: a reset of another user's password that waits for these rows finds them again, and deletes them.
        renamed = update(DeviceRow).where(col(DeviceRow.token_sha256) == digest(old))
        session.execute(renamed.values(token_sha256=digest(token)))
    row = {"token_sha256": digest(token), "user": user, "seen_at": now}
    insert_or_update(session, DeviceRow, [row], unique=["token_sha256", "user"])
    latest = select(DeviceRow).where(DeviceRow.user == user).order_by(col(DeviceRow.seen_at).desc()).offset(MAX_DEVICES)
    expired = select(DeviceRow).where(col(DeviceRow.seen_at) < now - KEPT).limit(MAX_DEVICES)
    for rows in (latest, expired):
        for gone in session.exec(rows.with_for_update(skip_locked=True)):
            session.delete(gone)
        session.flush()
    return token


def forget(session: Session, user: int) -> None:
    """That user's password no longer holds: every browser is a stranger to it."""
    session.exec(delete(DeviceRow).where(col(DeviceRow.user) == user))
