"""Refusals: what a person asked for and does not get, with a status for programs and a sentence for people."""

from typing import Any


class Refused(Exception):
    """Raised anywhere below a route; the page and the JSON answer say its words. `told` goes into the JSON too."""

    def __init__(self, status: int, words: str, **told: Any) -> None:
        super().__init__(words)
        self.status, self.words, self.told = status, words, told


def not_there(what: str) -> Refused:
    """404 for a row that does not exist."""
    return Refused(404, f"There is no such {what}.")


def not_allowed(words: str = "Access denied: your role does not allow this.") -> Refused:
    """403."""
    return Refused(403, words)


def conflict(words: str, **told: Any) -> Refused:
    """409: somebody was faster, or the state does not allow it; nothing was changed."""
    return Refused(409, words, **told)
