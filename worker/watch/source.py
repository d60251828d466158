"""One source under watch: finds its slides and follows those that arrive or change, while its lease is ours."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from typing import Final

import structlog

from smear.layout import layout
from smear.settings import Settings
from smear.sources import Source
from smear.store import RowRejected, Store, StoreUnavailable
from worker import arrivals
from worker.arrivals import Known
from worker.watch.active import SourceLease, this_process
from worker.watch.kept import KeptPictures
from worker.watch.known import Verified, finished_after, folder_signature, load_finished
from worker.watch.look import RELOOK_SECONDS, Followed, Looker
from worker.watch.observe import POLL_SECONDS, Observing
from worker.watch.strays import OutsideWalk


log: Final = structlog.get_logger()

#: A slide that a fault of ours keeps us from looking at is tried again this often.
FAULT_SECONDS: Final = 10.0
#: Within this long every young finished slide is looked at file by file: a rewrite in place changes no folder's time.
ROUND_SECONDS: Final = 3600.0
#: How much of each is done in one step, so that neither new slides, nor the lease, nor another source waits long:
#: finished slides of the round, folders of a scan, slides that are looked at.
ROUND_A_STEP, SCAN_A_STEP, LOOKS_A_STEP = 20, 1000, 50
#: A scan finds no more slides to follow while this many are followed: an archive comes in waves.
MOST_FOLLOWED: Final = 2000


class SourceWatch:
    """Watches one root. `step` is called again and again with a monotonic time; nothing here sleeps."""

    def __init__(
        self, store: Store, source: Source, settings: Settings, observing: Observing, watcher: str | None = None
    ) -> None:
        self._store, self._source, self._settings, self._observing = store, source, settings, observing
        self._row = arrivals.register_source(store, source)
        self._lease = SourceLease(store, self._row, settings.lease_seconds, watcher or this_process())
        self.active = False
        self._begin()

    def _begin(self) -> None:
        """Nothing is remembered but what the database knows."""
        self._verified = Verified()
        self._looker = Looker(
            self._store, self._source, self._row, layout(self._source.layout), self._settings, self._verified
        )
        self._followed: dict[str, Followed] = {}
        self._scan: Iterator[tuple[str, str, str]] | None = None
        self._scan_due = self._round_due = self._poll_due = float("-inf")
        self._round_after: int | None = None
        self._next_round = False
        self._outside = OutsideWalk(self._source.root, self._looker.layout)
        self._kept = KeptPictures(self._store, self._row, self._source.root, self._looker.layout, self._settings)
        self._news: str | None = None
        self._away = False
        self.busy = False

    def step(self, now: float) -> bool:
        """Do whatever is due; whether a slide has settled, so that there is something to publish.

        `busy` says afterwards that more is due already.
        """
        if not self._is_active(now):
            self.busy = False
            return False
        if self._observing.step():
            kind, source = self._observing.kind, self._source
            log.info("watching", drop=str(source.root), layout=source.layout, events=kind)
            self._scan, self._scan_due, self._round_due = None, now, now
        for slide_id, folder in self._observing.wakes.take():
            self._follow(slide_id, folder, now, woken=True)
        if self._observing.kind == "polling" and now >= self._poll_due:
            self._poll(now)
        if self._scan is None and now >= self._scan_due:
            self._begin_scan(now)
        self._scan_on(now)
        if (ignored := self._outside.step()) is not None:
            self._looker.ignored.found("", ignored, now)
        self._looker.ignored.step(now)
        if self._scan is None and not self._away:
            self._kept.step(now)
        self._go_round(now)
        due = [slide for slide in self._followed.values() if now >= slide.due]
        due.sort(key=lambda slide: (not slide.woken, slide.due))
        settled = False
        for slide in due[:LOOKS_A_STEP]:
            settled |= self._try_to_look(slide, now)
        scanning = self._scan is not None and not self._is_full()
        self.busy = len(due) > LOOKS_A_STEP or scanning or self._outside.under_way
        return settled

    def _is_active(self, now: float) -> bool:
        was, self.active = self.active, self._lease.step(now)
        if was and not self.active:
            self._observing.stop()
        if self.active and not was:
            # Whoever was active meanwhile has changed what we remember.
            self._begin()
            load_finished(self._store, self._row, self._verified)
        return self.active

    def stop(self) -> None:
        """Stop observing, and let another watcher take over at once."""
        self._observing.stop()
        self._lease.release()
        self.active = False

    def _try_to_look(self, slide: Followed, now: float) -> bool:
        slide.woken = False
        try:
            outcome = self._looker.look(slide, now, away=self._away)
        except StoreUnavailable:
            raise
        except RowRejected as error:
            # One slide; the others of the source go on. It is recorded, so that people see it.
            revision = arrivals.refuse(self._store, self._row, slide.slide_id, slide.folder, str(error))
            if revision is not None:
                log.error("failed: the database rejects a slide", revision=revision, reason=str(error))  # noqa: TRY400 - the reason says it all
            outcome = "leave"
        except Exception:
            # A bug of ours over one slide must not keep the others from being seen.
            log.exception("a look at a slide failed")
            slide.due = now + FAULT_SECONDS
            return False
        if outcome != "follow":
            self._followed.pop(slide.folder, None)
            self._looker.forget(slide.folder)
        return outcome == "settled"

    def _follow(self, slide_id: str, folder: str, now: float, *, wake: bool = True, woken: bool = False) -> None:
        """Follow a slide; `wake`: look at once, `woken`: before all that are due."""
        slide = self._followed.setdefault(folder, Followed(slide_id, folder, now))
        slide.woken |= woken
        if wake:
            slide.due = min(slide.due, now)

    def adopt(self, now: float) -> None:
        """Follow what the database calls arriving: slides that a worker handed back, or an earlier watcher left."""
        if not self.active:
            return
        for slide_id, folder in arrivals.arriving(self._store, self._row):
            self._follow(slide_id, folder, now, wake=False)

    # --- the scan: the whole root, by level ------------------------------------------------------------------------

    def _begin_scan(self, now: float) -> None:
        """Compare the whole root with what is known, from now on, some of it in every step."""
        # Due again from its end on, or a root that takes longer than `scan_seconds` would be scanned without a pause.
        self._scan_due = float("inf")
        self._next_round = now >= self._round_due
        self._scan = self._looker.layout.survey(self._source.root)

    def _scan_on(self, now: float) -> None:
        if self._scan is None or self._is_full():
            return
        try:
            some = list(islice(self._scan, SCAN_A_STEP))
        except OSError as error:
            self._scan, self._scan_due = None, now + min(RELOOK_SECONDS, self._settings.scan_seconds)
            if not self._away:
                log.warning("drop folder is away", drop=str(self._source.root), reason=error.strerror)
            self._away = True
            return
        wanted = [
            found for found in some if found[1] not in self._followed and not self._verified.holds(found[1], found[2])
        ]
        # What is finished and as it was costs no question to the database.
        for start in range(0, len(wanted), 500):
            self._sort_out(wanted[start : start + 500], now)
        if len(some) < SCAN_A_STEP:
            self._end_scan(now)

    def _is_full(self) -> bool:
        """Whether as many slides are followed as may be; those that cannot be read just now keep no other out."""
        return len(self._followed) >= MOST_FOLLOWED <= sum(not slide.troubled for slide in self._followed.values())

    def _sort_out(self, found: list[tuple[str, str, str]], now: float) -> None:
        known = arrivals.known_of(self._store, self._row, [slide_id for slide_id, _, _ in found])
        for slide_id, folder, signature in found:
            if self._wants_a_look(folder, signature, known.get(slide_id)):
                self._follow(slide_id, folder, now)

    def _wants_a_look(self, folder: str, signature: str, known: Known | None) -> bool:
        if known is None or known.folder != folder or known.state == "arriving":
            return True
        if known.state == "queued":
            return False
        if known.state == "listed":
            self._verified.put(folder, None)
            return False
        if signature and known.signature and folder_signature(known.signature) == signature:
            self._verified.put(folder, signature)
            return False
        return True

    def _end_scan(self, now: float) -> None:
        self._scan = None
        # What was new meanwhile may lie where the scan had been already: then the next is due sooner.
        self._scan_due = min(self._scan_due, now + self._settings.scan_seconds)
        arrivals.scanned(self._store, self._row)
        for slide_id, folder in self._looker.facts.rewritten(self._row):
            self._follow(slide_id, folder, now)
        self._outside.begin(whole=self._next_round)
        self._looker.ignored.recheck()
        if self._away:
            log.info("drop folder is back", drop=str(self._source.root))
        self._away = False
        if self._next_round:
            self._round_due, self._round_after = now + ROUND_SECONDS, 0

    # --- between scans -----------------------------------------------------------------------------------------------

    def _go_round(self, now: float) -> None:
        """Look at some more of the young finished slides, file by file. A scan goes first: it finds the new ones."""
        if self._scan is not None or self._round_after is None or self._away or self._is_full():
            return
        age = timedelta(days=self._settings.reopen_days)
        page = finished_after(self._store, self._row, self._round_after, ROUND_A_STEP, age)
        for _, slide_id, folder in page:
            self._follow(slide_id, folder, now)
        self._round_after = page[-1][0] if page else None

    def _poll(self, now: float) -> None:
        """Where nothing tells of changes: the root's own time, and the files of the slides that ended last."""
        self._poll_due = now + POLL_SECONDS
        try:
            news = self._looker.layout.news(self._source.root)
        except OSError:
            return
        if self._news not in {None, news}:
            self._scan_due = min(self._scan_due, now)
        self._news = news
        for (slide_id, folder), fingerprint in list(self._looker.latest.items()):
            try:
                listing = self._looker.layout.look(self._source.root, folder)
            except OSError:
                continue
            if listing.fingerprint != fingerprint:
                self._follow(slide_id, folder, now, woken=True)
