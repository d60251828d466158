"""What a worker does with one message: claim the slide, read it, classify it, record it."""

import contextlib
import os
import socket
from typing import Final

import structlog

from smear.bundle import BadBundle, Bundle
from smear.geometry import profile
from smear.layout import Layout, Listing, layout
from smear.settings import Settings, Source
from smear.store import Store, StoreUnavailable
from worker import ledger
from worker.classify import BadAnswer, classify
from worker.engines.face import Engine, EngineUnavailable
from worker.lease import Lease
from worker.ledger import Claim, Fenced
from worker.models import ServingEngine
from worker.reading import SlideChanging, SlideReader, SourceAway
from worker.record import record


log: Final = structlog.get_logger()

#: Attempts after which a picture that still cannot be read is recorded as unreadable rather than waited for.
PATIENT_ATTEMPTS: Final = 3


class Work:
    """Classifies slides by their revision's row number. One a process, shared by the process's threads."""

    def __init__(self, settings: Settings, store: Store, engine: ServingEngine, reader: SlideReader) -> None:
        self._settings, self._store, self._engine, self._reader = settings, store, engine, reader
        self._sources = {source.name: source for source in settings.sources}
        self._name = f"{socket.gethostname()[:80]}:{os.getpid()}"

    def warm(self) -> None:
        """Load the engine ahead of the first slide; what stands in its way is said when the slide comes."""
        with contextlib.suppress(BadBundle, EngineUnavailable, StoreUnavailable):
            self._engine.get()

    def do(self, revision: int) -> None:
        """Classify one revision. A message for what is done, gone or somebody else's is no work at all.

        Raises StoreUnavailable; the claim, if there was one, then runs out and the slide is queued again.
        """
        try:
            bundle, engine = self._engine.get()
        except (BadBundle, EngineUnavailable) as error:
            # Nothing is wrong with the slide, so no attempt is counted: it waits for another host, or for the cure.
            log.error("cannot classify on this host", reason=str(error))  # noqa: TRY400 - the reason says it all
            return
        claim = ledger.claim(self._store, revision, self._name)
        if claim is None:
            log.debug("nothing to do", revision=revision)
            return
        try:
            self._do_claimed(claim, bundle, engine)
        except Fenced:
            log.warning("result dropped: the claim was taken back", revision=revision, token=claim.token)
        except SlideChanging:
            log.info("still changing: back to the watcher", revision=revision)
            # However often that is, the slide does not fail of it; but a file that is never to be had is recorded.
            ledger.release(self._store, claim, attempts=min(claim.attempts, PATIENT_ATTEMPTS))
        except (SourceAway, BadAnswer) as error:
            log.warning("not now", revision=revision, attempt=claim.attempts, reason=str(error))
            self._hand_back(claim, str(error))
        except StoreUnavailable:
            raise
        except Exception as error:
            # A bug of ours over one slide: it is recorded on that slide, and the others go on.
            log.exception("a fault of this program", revision=revision, attempt=claim.attempts)
            self._hand_back(claim, f"a fault of this program ({type(error).__name__}); its log has the details")

    def _hand_back(self, claim: Claim, reason: str) -> None:
        if claim.attempts >= self._settings.max_attempts:
            ledger.fail(self._store, claim, reason)
        else:
            # The watcher settles it anew once its source is there, and so sets the pace of the next attempt.
            ledger.release(self._store, claim, attempts=claim.attempts)

    def _do_claimed(self, claim: Claim, bundle: Bundle, engine: Engine) -> None:
        source = self._source(claim)
        how = layout(source.layout)
        with Lease(
            self._store, claim, lease_seconds=self._settings.lease_seconds, stall_seconds=self._settings.stall_seconds
        ) as lease:
            listing = _look(how, source, claim)
            chunks = self._reader.read(
                source.root,
                listing.folder,
                listing,
                profile(source.geometry),
                forgiving=claim.attempts >= PATIENT_ATTEMPTS,
                progress=lease.progress,
            )
            result = classify(
                chunks,
                bundle,
                engine,
                min_cells=self._settings.min_cells,
                low_count_cells=self._settings.low_count_cells,
            )
            lease.progress()
            record(self._store, claim, result, listing.signature)
        log.info(
            "failed" if result.failure else "classified",
            revision=claim.revision,
            cells=len(result.cells),
            problems=len(result.problems),
            bundle=result.bundle_id,
            backend=result.backend,
        )

    def _source(self, claim: Claim) -> Source:
        try:
            return self._sources[claim.source]
        except KeyError:
            raise SourceAway(f"this worker's WNET_DROP names no source {claim.source!r}") from None


def _look(how: Layout, source: Source, claim: Claim) -> Listing:
    try:
        return how.look(source.root, claim.folder)
    except OSError as error:
        raise SourceAway(f"the slide's folder cannot be listed: {error.strerror}") from error
