"""Claims of dead workers: taken back, or given up with a reason once too many have died over one slide."""

import time
from collections.abc import Callable
from typing import Final

import structlog

from smear.store import Store, StoreUnavailable
from worker import ledger
from worker.ending import End
from worker.ledger import Held


log: Final = structlog.get_logger()

#: A database that is away is waited for this long, by whoever has a death to report. Then the lease decides.
PATIENCE_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 1.0


def end_claim(store: Store, claim: Held, ended: End, max_attempts: int) -> bool:
    """End the claim of a worker that is dead; False where it moved on meanwhile.

    An end from outside is nobody's fault - unless the slide has been claimed more than `max_attempts` times: then
    something ends its workers each time, and where memory runs out the kernel does not always say so.
    """
    own = ended.own or claim.attempts > max_attempts
    counted = End(ended.words, own)
    if own and claim.deaths + 1 >= max_attempts:
        if not ledger.give_up(store, claim, f"its worker died {claim.deaths + 1} times over it", counted):
            return False
        log.error("failed: its worker died each time", revision=claim.revision, deaths=claim.deaths + 1)
        return True
    if not ledger.take_back(store, claim, counted):
        return False
    log.warning(
        "claim taken back",
        revision=claim.revision,
        token=claim.token,
        attempts=claim.attempts,
        worker=ended.words,
        counted=own,
    )
    return True


def bury(store: Store, name: str, ended: End, max_attempts: int) -> int:
    """End every claim of a process that is known to be dead; how many there were. Raises StoreUnavailable."""
    return sum(end_claim(store, claim, ended, max_attempts) for claim in ledger.held(store) if claim.worker == name)


def bury_patiently(
    store: Store,
    name: str,
    ended: End,
    max_attempts: int,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> int:
    """As `bury`, but a database that is away is asked again for PATIENCE_SECONDS."""
    until = clock() + PATIENCE_SECONDS
    while True:
        try:
            return bury(store, name, ended, max_attempts)
        except StoreUnavailable as error:
            if clock() >= until:
                log.warning("a death stays unreported: the lease will tell", reason=str(error))
                return 0
            sleep(_PAUSE_SECONDS)
