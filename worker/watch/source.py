"""One source under watch: finds its slides, follows those that arrive, and opens revisions for what has changed."""

import os
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any, Final

import structlog

from smear import sidecar
from smear.files import FileChanging, open_folder, read_file
from smear.layout import SIDECAR, FoundPicture, Listing, is_blood, layout
from smear.pictures import UnreadablePicture, ends
from smear.settings import Settings, Source
from smear.sidecar import MAX_SIDECAR_BYTES, Sidecar
from smear.store import Store, StoreUnavailable
from smear.tables import utc_now
from worker import ledger
from worker.ledger import Known
from worker.watch.changes import Unchanged, any_new_content, recorded
from worker.watch.observe import Observing, identity_of
from worker.watch.settle import Settling


log: Final = structlog.get_logger()

#: A slide that waits for something other than its files is looked at this often.
RELOOK_SECONDS: Final = 1.0
#: A slide that a fault of ours keeps us from looking at is tried again this often.
FAULT_SECONDS: Final = 10.0
#: Within this long every young finished slide is looked at file by file: a rewrite in place changes no folder's time.
ROUND_SECONDS: Final = 3600.0
#: How many of them in one step, so that new slides are not kept waiting.
ROUND_A_STEP: Final = 20
#: Folders whose identity is remembered, to tell a renamed slide from one that is gone.
_PLACES: Final = 10_000


@dataclass
class _Active:
    """A slide being followed: where it lies, when to look again, since when its folder is missing."""

    folder: str
    due: float
    gone_since: float | None = None
    identity: tuple[int, int] | None = None
    root: tuple[int, int] | None = None


class SourceWatch:
    """Watches one root. `step` is called again and again with a monotonic time; nothing here sleeps."""

    def __init__(self, store: Store, source: Source, settings: Settings, observing: Observing) -> None:
        self._store, self._source, self._settings, self._observing = store, source, settings, observing
        self._layout = layout(source.layout)
        self._row = ledger.register_source(store, source)
        self._settling = Settling(settings.file_settle_seconds, settings.settle_seconds)
        self._unchanged = Unchanged()
        self._active: dict[str, _Active] = {}
        self._quiet: dict[str, str] = {}
        self._no_text: set[str] = set()
        self._places: dict[tuple[int, int], str] = {}
        self._round: deque[tuple[str, str]] = deque()
        self._round_due = self._scan_due = float("-inf")
        self._away = False

    def step(self, now: float) -> bool:
        """Do whatever is due; whether a slide has settled, so that there is something to publish."""
        if self._observing.step():
            log.info("watching", drop=str(self._source.root), layout=self._source.layout, events=self._observing.kind)
            self._round_due = self._scan_due = now
        for slide_id, folder in self._observing.wakes.take():
            self._follow(slide_id, folder, now)
        if now >= self._scan_due:
            self.scan(now)
        for _ in range(min(len(self._round), ROUND_A_STEP)):
            self._follow(*self._round.popleft(), now)
        settled = False
        for slide_id, active in list(self._active.items()):
            if now >= active.due:
                settled |= self._try_to_look(slide_id, active, now)
        return settled

    def _try_to_look(self, slide_id: str, active: _Active, now: float) -> bool:
        try:
            return self._look(slide_id, active, now)
        except StoreUnavailable:
            raise
        except Exception:
            # A bug of ours over one slide must not keep the others from being seen.
            log.exception("a look at a slide failed")
            active.due = now + FAULT_SECONDS
            return False

    def scan(self, now: float) -> None:
        """Compare the whole root with the database, and follow every slide that is new, unfinished or different."""
        self._scan_due = now + self._settings.scan_seconds
        known = ledger.known_slides(self._store, self._row)
        new_round = now >= self._round_due
        if new_round:
            self._round_due = now + ROUND_SECONDS
            self._round.clear()
        try:
            for slide_id, folder in self._layout.slides(self._source.root):
                if slide_id in self._active:
                    continue
                if self._wants_a_look(slide_id, folder, known.get(slide_id)):
                    self._follow(slide_id, folder, now)
                elif new_round and self._is_young(known[slide_id]):
                    self._round.append((slide_id, folder))
        except OSError as error:
            self._scan_due = now + min(RELOOK_SECONDS, self._settings.scan_seconds)
            if not self._away:
                log.warning("drop folder is away", drop=str(self._source.root), reason=error.strerror)
            self._away = True
            return
        if self._away:
            log.info("drop folder is back", drop=str(self._source.root))
        self._away = False
        ledger.scanned(self._store, self._row)

    def adopt(self, now: float) -> None:
        """Follow what the database calls arriving: slides that a worker handed back, or an earlier watcher left."""
        for slide_id, folder in ledger.arriving(self._store, self._row):
            self._follow(slide_id, folder, now, wake=False)

    def _is_young(self, known: Known) -> bool:
        """Whether a finished slide may still be written to, going by its age."""
        if known.finished_at is None or known.signature is None or known.state == "listed":
            return False
        return utc_now() - known.finished_at < timedelta(days=self._settings.reopen_days)

    def _wants_a_look(self, slide_id: str, folder: str, known: Known | None) -> bool:
        if known is None or known.state == "arriving":
            return True
        if known.state in {"queued", "listed"} or known.signature is None:
            return False
        try:
            signature = self._layout.signature(self._source.root, folder)
        except OSError:
            return True  # one folder that cannot be entered says nothing of the root; a look finds out
        return signature not in {known.signature, self._quiet.get(slide_id)}

    def _follow(self, slide_id: str, folder: str, now: float, *, wake: bool = True) -> None:
        if not _is_text(folder):
            if folder not in self._no_text:
                log.warning("left alone: a folder whose name is no UTF-8; rename it", drop=str(self._source.root))
            self._no_text.add(folder)
            return
        active = self._active.setdefault(slide_id, _Active(folder, now))
        if wake:
            active.due = min(active.due, now)

    def _leave(self, slide_id: str) -> None:
        self._active.pop(slide_id, None)
        self._settling.forget(slide_id)

    def _look(self, slide_id: str, active: _Active, now: float) -> bool:
        """One look at one slide; whether it has settled."""
        active.due = now + RELOOK_SECONDS
        known = ledger.known_slide(self._store, self._row, slide_id)
        try:
            listing = self._layout.look(self._source.root, active.folder)
        except OSError as error:
            reason = "its folder went away before its pictures were read"
            if isinstance(error, PermissionError):
                reason = f"its folder cannot be read: {error.strerror}"
                known = known or ledger.open_slide(self._store, self._row, slide_id, active.folder)
            self._missing(slide_id, active, known, now, reason)
            return False
        self._place(slide_id, active)
        if known is None:
            if not listing.pictures and not listing.complete_marker:
                self._leave(slide_id)
                return False
            known = ledger.open_slide(self._store, self._row, slide_id, active.folder)
            log.info("arriving", revision=known.revision)
        match known.state:
            case "queued":
                return False
            case "listed":
                self._leave(slide_id)
                return False
            case "arriving":
                return self._look_at_arriving(slide_id, active, known, listing, now)
            case _:
                return self._look_at_finished(slide_id, active, known, listing, now)

    def _look_at_arriving(self, slide_id: str, active: _Active, known: Known, listing: Listing, now: float) -> bool:
        told = self._sidecar(active.folder) if listing.sidecar is not None else None
        if not self._settled(slide_id, active, listing, told, now):
            return False
        self._queue(slide_id, known, told)
        return True

    def _look_at_finished(self, slide_id: str, active: _Active, known: Known, listing: Listing, now: float) -> bool:
        before = recorded(self._store, known.revision)
        suspects = self._unchanged.suspects(known.revision, listing, before)
        if not suspects:
            self._quiet[slide_id] = listing.signature
            self._leave(slide_id)
            return False
        told = self._sidecar(active.folder) if listing.sidecar is not None else None
        if not self._settled(slide_id, active, listing, told, now):
            return False
        try:
            new = any_new_content(self._source.root, active.folder, suspects, before)
        except (FileChanging, OSError):
            return False
        if not new:
            self._unchanged.remember(known.revision, suspects)
            self._quiet[slide_id] = listing.signature
            self._leave(slide_id)
            return False
        reopened = ledger.open_revision(self._store, known)
        log.info("reopened", revision=reopened.revision, number=reopened.number)
        self._queue(slide_id, reopened, told)
        return True

    def _settled(self, slide_id: str, active: _Active, listing: Listing, told: Sidecar | None, now: float) -> bool:
        verdict = self._settling.step(
            slide_id,
            listing,
            expected_cells=None if told is None else told.expected_cells,
            is_whole=lambda picture: self._is_whole(active.folder, picture),
            now=now,
        )
        active.due = verdict.look_again_at
        return verdict.settled

    def _queue(self, slide_id: str, known: Known, told: Sidecar | None) -> None:
        values: dict[str, Any] | None = None if told is None else told.model_dump(exclude_none=True)
        blood = is_blood(slide_id, self._settings.not_blood)
        ledger.settle(self._store, known.revision, values, blood=blood)
        log.info("settled", revision=known.revision, blood=blood)
        self._leave(slide_id)

    def _place(self, slide_id: str, active: _Active) -> None:
        """Note where a slide was seen, and that it was."""
        active.gone_since = None
        active.root = identity_of(self._source.root)
        active.identity = identity_of(self._source.root / active.folder)
        if active.identity is not None:
            while len(self._places) >= _PLACES:
                del self._places[next(iter(self._places))]
            self._places[active.identity] = slide_id

    def _missing(self, slide_id: str, active: _Active, known: Known | None, now: float, reason: str) -> None:
        """A slide's folder is not to be had: with its root it is only away, under a root that is there it is gone."""
        if self._away or self._root_is_away(active):
            active.gone_since = None
            return
        if known is None or known.state != "arriving":
            self._leave(slide_id)
            return
        if active.gone_since is None:
            active.gone_since = now
        elif now - active.gone_since >= self._settings.settle_seconds:
            if active.identity is not None and self._places.get(active.identity) != slide_id:
                log.info("renamed while it arrived", revision=known.revision)
                ledger.forget(self._store, known)
            else:
                log.warning("failed", revision=known.revision, reason=reason)
                ledger.fail_arriving(self._store, known.revision, reason)
            self._leave(slide_id)

    def _root_is_away(self, active: _Active) -> bool:
        """Whether the root the slide was seen under is there no longer: gone, another in its place, or an empty folder,
        which is what an unmounted share leaves behind.
        """
        root = identity_of(self._source.root)
        if root is None or active.root not in {None, root}:
            return True
        with os.scandir(self._source.root) as entries:
            return next(entries, None) is None

    def _sidecar(self, folder: str) -> Sidecar | None:
        try:
            with open_folder(self._source.root, folder) as descriptor:
                return sidecar.parse(read_file(descriptor, SIDECAR, MAX_SIDECAR_BYTES)[0])
        except (OSError, FileChanging, UnreadablePicture):
            return None

    def _is_whole(self, folder: str, picture: FoundPicture) -> bool:
        path = PurePosixPath(folder) / picture.path
        try:
            with open_folder(self._source.root, str(path.parent)) as descriptor:
                return ends(read_file(descriptor, path.name)[0])
        except UnreadablePicture:
            return True  # a link or a device will not get any better by waiting
        except (OSError, FileChanging):
            return False


def _is_text(name: str) -> bool:
    """Whether a name can be stored: a database holds text, a file system any bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
