"""Passwords: hashed with argon2id, a few at a time, and as slow for a name that is not there as for one that is."""

import secrets
import threading
import unicodedata
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from review.refusal import Refused


MIN_LENGTH: Final = 12
MAX_LENGTH: Final = 200
#: A name of fewer letters gives no password away.
_TELLING: Final = 4
#: Letters and digits that cannot be taken for one another on paper.
_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"


class Passwords:
    """Hashes and checks. Each takes 64 MB for a moment, so at most two at a time."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turn = threading.Semaphore(2)
        self._nobody = self._hasher.hash(secrets.token_hex(16))

    def hash(self, password: str) -> str:
        """The hash to be kept."""
        with self._turn:
            return self._hasher.hash(_normal(password))

    def fits(self, kept: str | None, password: str) -> bool:
        """Whether a password is the one that was hashed; None (no such person) takes as long."""
        if len(password) > MAX_LENGTH:
            return False
        with self._turn:
            try:
                self._hasher.verify(kept or self._nobody, _normal(password))
            except (VerificationError, InvalidHashError):
                return False
        return kept is not None


def _normal(password: str) -> str:
    # The same letters typed on another keyboard may come as other code points. A lone surrogate is no text.
    return unicodedata.normalize("NFKC", password).encode("utf-8", "replace").decode()


def one_time() -> str:
    """A password for the first sign-in: four groups of five, 99 bits."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(4))


def check_new(password: str, name: str) -> None:
    """Raise Refused (422) for a new password that is too easy to guess."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise Refused(422, f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters.")
    # Of a very short name nearly every sentence holds the letters.
    if len(set(password)) < 5 or (len(name) >= _TELLING and name in password.casefold()):
        raise Refused(422, "Choose a password that is neither your name nor a few letters repeated.")
