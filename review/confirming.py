"""Confirming by password: a person who signs gives it again after a while, under the same limits as at the sign-in."""

from typing import Final

from review.attempts import TooManyAttempts
from review.desk import Desk
from review.refusal import Refused
from review.sessions import SignedIn


#: HTTP's "precondition required": the page answers it with the field for the password.
PASSWORD_REQUIRED: Final = 428


def confirm_password(desk: Desk, who: SignedIn, password: str | None) -> None:
    """Check the password of someone who signs, where it is due. Raises Refused: 428 without one, 403 with a wrong one.

    After too many wrong ones it is 429 (review/attempts.py).
    """
    if not desk.sessions.password_due(who.digest):
        return
    if not password:
        raise Refused(PASSWORD_REQUIRED, "Type your password to sign.", password=True)
    try:
        desk.attempts.confirm(who.person, password)
    except TooManyAttempts as error:
        raise Refused(error.status, error.words, password=True, retry_after=error.seconds) from None
    except Refused as error:
        raise Refused(403, error.words, password=True) from None
    desk.sessions.password_given(who.digest)
