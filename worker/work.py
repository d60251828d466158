"""What a worker does with one message: claim the slide, read it, classify it, record it."""

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
import structlog

from smear.bundle import BadBundle, Bundle
from smear.geometry import SIDE_PX, profile
from smear.intervals import load_intervals
from smear.layout import Layout, Listing, layout
from smear.settings import Settings, Source
from smear.store import RowRejected, Store, StoreUnavailable
from worker import ledger, quarantine, waiting
from worker.classify import BadAnswer, classify, infer
from worker.ending import process_name
from worker.engines.face import Engine, EngineUnavailable
from worker.lease import Lease
from worker.ledger import Claim, Fenced
from worker.left import LeftClaims
from worker.memory import MemoryWait, OutOfMemory, shortage_named
from worker.models import ServingEngine
from worker.reading import SlideChanging, SlideReader, SourceAway
from worker.record import record
from worker.room import Room
from worker.singly import InHand


log: Final = structlog.get_logger()

#: Attempts after which a picture that still cannot be read is recorded as unreadable rather than waited for.
PATIENT_ATTEMPTS: Final = 3
#: While the disk is too full to claim, it is looked at this often.
ROOM_SECONDS: Final = 1.0


class Work:
    """Classifies slides by their revision's row number. One a process, shared by the process's threads.

    `room` is asked before each claim; while there is none the message waits here, `stopping` says for how long.
    `not_kept` says how many of some contents (SHA-256) the reader's `keep` could not keep.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        engine: ServingEngine,
        reader: SlideReader,
        *,
        room: Room | None = None,
        not_kept: Callable[[Iterable[str]], int] = lambda _: 0,
        stopping: Callable[[], bool] = lambda: False,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._settings, self._store, self._engine, self._reader = settings, store, engine, reader
        self._not_kept = not_kept
        self._room, self._stopping, self._sleep = room or Room(settings), stopping, sleep
        self._sources = {source.name: source for source in settings.sources}
        self._intervals = load_intervals(settings.intervals)
        self._name = process_name(os.getpid())
        self._left = LeftClaims(store, settings.var / "left")
        self._memory = MemoryWait(stopping, sleep)
        self._obstacle: str | None = None

    def warm(self) -> None:
        """Load the engine ahead of the first slide; what stands in its way is logged."""
        with contextlib.suppress(StoreUnavailable):
            try:
                self._serving()
            except (BadBundle, EngineUnavailable, OutOfMemory) as error:
                self._cannot_classify(str(error))

    def do(self, revision: int) -> None:
        """Classify one revision. A message for what is done, gone or somebody else's is no work at all.

        Raises StoreUnavailable; the claim, if there was one, is let go of once the database is back, or runs out.
        """
        if not (self._wait_for_room() and self._memory.wait()):
            return
        self._left.let_go()
        try:
            bundle, engine = self._serving()
        except (BadBundle, EngineUnavailable, OutOfMemory) as error:
            # Nothing is wrong with the slide, so no attempt is counted: it waits for another host, or for the cure.
            self._cannot_classify(str(error))
            if isinstance(error, OutOfMemory):
                self._memory.shortage()
            waiting.note(self._store, revision, str(error))
            return
        try:
            claim = ledger.claim(self._store, revision, self._name)
        except StoreUnavailable:
            self._left.add_unanswered(revision, self._name)
            raise
        if claim is None:
            log.debug("nothing to do", revision=revision)
            return
        try:
            self._attempt(claim, bundle, engine)
        except BaseException:
            # Whatever it was, the claim's end may not have been written.
            self._left.add(claim)
            raise

    def _attempt(self, claim: Claim, bundle: Bundle, engine: Engine) -> None:
        """One attempt at a claimed slide, and what is to become of the claim whatever comes between."""
        revision = claim.revision
        try:
            with shortage_named(unless=(StoreUnavailable,)):
                self._do_claimed(claim, bundle, engine)
            self._memory.over()
        except OutOfMemory as error:
            # The host's condition: the slide goes back as if it had never been claimed, perhaps to a better host.
            self._memory.shortage()
            log.warning("not enough memory", revision=revision, reason=str(error), wait_seconds=self._memory.seconds)
            self._engine.forget()
            ledger.let_go(self._store, claim)
            waiting.note(self._store, revision, str(error))
        except Fenced:
            log.warning("result dropped: the claim was taken back", revision=revision, token=claim.token)
        except SlideChanging:
            log.info("still changing: back to the watcher", revision=revision)
            # However often that is, the slide does not fail of it; but a file that is never to be had is recorded.
            ledger.release(self._store, claim, attempts=min(claim.attempts, PATIENT_ATTEMPTS))
        except EngineUnavailable as error:
            log.error("the engine failed", revision=revision, attempt=claim.attempts, reason=str(error))  # noqa: TRY400 - as above
            self._engine.forget()
            self._hand_back(claim, str(error))
        except (SourceAway, BadAnswer) as error:
            log.warning("not now", revision=revision, attempt=claim.attempts, reason=str(error))
            self._hand_back(claim, str(error))
        except StoreUnavailable:
            raise
        except RowRejected as error:
            # Trying again would not help, and the other slides go on.
            log.error("failed", revision=revision, reason=str(error))  # noqa: TRY400 - as above
            ledger.fail(self._store, claim, str(error))
        except (SystemExit, KeyboardInterrupt):
            # Told to end at once: somebody else may start at once.
            with contextlib.suppress(StoreUnavailable):
                ledger.let_go(self._store, claim)
            raise
        except Exception as error:
            # A bug of ours over one slide: it is recorded on that slide, and the others go on.
            log.exception("a fault of this program", revision=revision, attempt=claim.attempts)
            self._hand_back(claim, f"a fault of this program ({type(error).__name__}); its log has the details")

    def _serving(self) -> tuple[Bundle, Engine]:
        with shortage_named(unless=(StoreUnavailable,)):
            found = self._engine.get()
        self._obstacle = None
        return found

    def _cannot_classify(self, reason: str) -> None:
        """Log it once: the watcher sends each waiting slide again and again, which would fill the log."""
        if reason != self._obstacle:
            log.error("cannot classify on this host", reason=reason)
        self._obstacle = reason

    def _wait_for_room(self) -> bool:
        """Until the disk has room; False where this process was told to stop meanwhile."""
        while not self._room.enough():
            if self._stopping():
                return False
            self._sleep(ROOM_SECONDS)
        return True

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
            suspects = quarantine.suspects(self._store)
            in_hand = None
            if self._is_dangerous(claim):
                log.warning("a worker died over this slide: one by one", revision=claim.revision, deaths=claim.deaths)
                # An engine that is broken dies here, where no picture is in hand.
                infer(engine, np.zeros((1, SIDE_PX, SIDE_PX, 3), np.uint8))
                in_hand = InHand(self._store, claim, suspects)
            chunks = self._reader.read(
                source.root,
                listing.folder,
                listing,
                profile(source.geometry),
                forgiving=claim.attempts >= PATIENT_ATTEMPTS,
                progress=lease.progress,
                quarantined=suspects.quarantined,
                in_hand=in_hand,
            )
            result = classify(
                chunks,
                bundle,
                engine,
                min_cells=self._settings.min_cells,
                low_count_cells=self._settings.low_count_cells,
                review_below=self._settings.review_below,
            )
            lease.progress()
            missed = self._not_kept(cell.sha256 for cell in result.cells if cell.sha256)
            record(self._store, claim, result, listing.signature, self._intervals, not_kept=missed)
        log.info(
            "failed" if result.failure else "classified",
            revision=claim.revision,
            cells=len(result.cells),
            problems=len(result.problems),
            bundle=result.bundle_id,
            backend=result.backend,
        )

    def _is_dangerous(self, claim: Claim) -> bool:
        """Whether a picture of the slide may end its worker. Ends from outside are not counted - up to a point: memory
        that runs out looks like one where the kernel does not tell.
        """
        return claim.deaths > 0 or claim.attempts > self._settings.max_attempts

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
