"""After a death over a slide: pictures one by one, each written down as in hand before it is decoded."""

from smear.store import Store
from worker import ledger, quarantine
from worker.ledger import Claim
from worker.quarantine import Suspects


class InHand:
    """Tells the database which content is alone in hand, and acquits a suspect that came through it alive.

    A content is decoded and classified between the call that names it and the next one.
    """

    def __init__(self, store: Store, claim: Claim, suspects: Suspects) -> None:
        self._store, self._claim, self._suspected = store, claim, suspects.suspected
        self._now: str | None = None

    def __call__(self, sha256: str | None) -> None:
        """This content is next, or none; raises Fenced, StoreUnavailable."""
        ledger.take_in_hand(self._store, self._claim, sha256)
        before, self._now = self._now, sha256
        if before in self._suspected and before is not None:
            quarantine.acquit(self._store, before)
