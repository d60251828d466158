"""One look at one slide: has it arrived, has it changed since it was classified, is it gone?"""

import os
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, Literal

import structlog

from smear.files import PASSING, FileChanging, open_folder, read_file
from smear.layout import FoundPicture, Layout, Listing, is_blood
from smear.pictures import UnreadablePicture, ends
from smear.settings import Settings
from smear.slide_facts import SlideFacts, read_facts
from smear.sources import Source
from smear.store import RowRejected, Store
from worker import arrivals
from worker.arrivals import Known
from worker.lanes import rank
from worker.watch.changes import Recorded, Unchanged, any_new_content, recorded
from worker.watch.express import Express
from worker.watch.facts import FactsWatch
from worker.watch.ignored import IgnoredFiles
from worker.watch.known import Verified
from worker.watch.observe import identity_of
from worker.watch.settle import Settling
from worker.watch.strays import inside


log: Final = structlog.get_logger()

#: A slide that waits for something other than its files is looked at this often.
RELOOK_SECONDS: Final = 1.0
#: Folders whose identity is remembered, to tell a renamed slide from one that is gone.
_PLACES: Final = 10_000
#: Slides that ended last: where nothing tells of changes, these are looked at again and again.
_LATEST: Final = 20

Outcome = Literal["follow", "leave", "settled"]


@dataclass
class Followed:
    """A slide being followed: where it lies, when to look again, since when its folder is missing."""

    slide_id: str
    folder: str
    due: float
    gone_since: float | None = None
    identity: tuple[int, int] | None = None
    root: tuple[int, int] | None = None
    troubled: bool = False
    woken: bool = False


class Looker:
    """Looks at the slides of one source. What it decides stands in the database; what it remembers is only speed."""

    def __init__(
        self, store: Store, source: Source, row: int, layout: Layout, settings: Settings, verified: Verified
    ) -> None:
        self._store, self._source, self._row, self._settings = store, source, row, settings
        self.layout, self._verified = layout, verified
        self._settling = Settling(settings.file_settle_seconds, settings.settle_seconds)
        self._unchanged = Unchanged()
        self._express = Express()
        self.facts = FactsWatch(store, source.root, settings)
        still = settings.settle_seconds
        self.ignored = IgnoredFiles(store, row, source.root, still, still + settings.scan_seconds)
        self._places: OrderedDict[tuple[int, int], str] = OrderedDict()
        #: The fingerprint of each of the slides that ended last, by (slide_id, folder).
        self.latest: OrderedDict[tuple[str, str], str] = OrderedDict()

    def forget(self, folder: str) -> None:
        """The slide is followed no longer."""
        self._settling.forget(folder)
        self.facts.forget(folder)

    def look(self, slide: Followed, now: float, *, away: bool) -> Outcome:
        """One look. `away`: the root is known to be away, so that nothing is gone for good."""
        slide.due = now + RELOOK_SECONDS
        known = self._known(slide)
        try:
            listing = self.layout.look(self._source.root, slide.folder)
        except OSError as error:
            return self._unreadable(slide, known, error, now, away=away)
        self._place(slide)
        if known is None:
            if not listing.pictures and not listing.complete_marker:
                self._note_ignored(slide, listing, now)
                return "leave"
            known = arrivals.open_slide(self._store, self._row, slide.slide_id, slide.folder)
            log.info("arriving", revision=known.revision)
        match known.state:
            case "queued":
                return "follow"
            case "listed":
                self._verified.put(slide.folder, None)
                return "leave"
            case "arriving":
                return self._look_at_arriving(slide, known, listing, now)
            case _:
                return self._look_at_finished(slide, known, listing, now)

    def _known(self, slide: Followed) -> Known | None:
        """What the database knows of a slide, under its other name where another folder has its slide_id already."""
        slide.slide_id, known = arrivals.known_by_a_name(
            self._store, self._row, self.layout, slide.slide_id, slide.folder
        )
        return known

    def _look_at_arriving(self, slide: Followed, known: Known, listing: Listing, now: float) -> Outcome:
        self._verified.drop(slide.folder)
        facts = read_facts(self._source.root, listing)
        if not self._settled(slide, listing, facts, now):
            return "follow"
        self._queue(slide, known, listing, facts, now)
        return "settled"

    def _look_at_finished(self, slide: Followed, known: Known, listing: Listing, now: float) -> Outcome:
        before = recorded(self._store, known.revision)
        if not before and known.signature == settled_signature(listing):
            return self._nothing_new(slide, known, listing, before, now)  # it failed unread, and stands as it did
        suspects = self._unchanged.suspects(known.revision, listing, before)
        if not suspects:
            return self._nothing_new(slide, known, listing, before, now)
        facts = read_facts(self._source.root, listing)
        if not self._settled(slide, listing, facts, now):
            return "follow"
        try:
            new = any_new_content(self._source.root, listing.folder, suspects, before)
        except (FileChanging, OSError):
            return "follow"
        if not new:
            self._unchanged.remember(known.revision, suspects)
            return self._nothing_new(slide, known, listing, before, now)
        reopened = arrivals.open_revision(self._store, known)
        log.info("reopened", revision=reopened.revision, number=reopened.number)
        self._queue(slide, reopened, listing, facts, now)
        return "settled"

    def _nothing_new(
        self, slide: Followed, known: Known, listing: Listing, before: dict[str, Recorded], now: float
    ) -> Outcome:
        """No picture is new; the sidecar may be."""
        if (due := self.facts.waits_until(slide.folder, known, listing, before, now)) is not None:
            slide.due = due
            return "follow"
        self._note_ignored(slide, listing, now)
        self._verified.put(slide.folder, listing.signature)
        self._note_latest(slide, listing)
        return "leave"

    def _note_ignored(self, slide: Followed, listing: Listing, now: float) -> None:
        """What lies in a slide's folder and is none of it. In layout `flat` slides have no folders."""
        if listing.folder == slide.folder:
            found = inside(self._source.root, slide.folder, self.layout, pictures=bool(listing.pictures))
            self.ignored.found(slide.folder, found, now)

    def _note_latest(self, slide: Followed, listing: Listing) -> None:
        self.latest[slide.slide_id, slide.folder] = listing.fingerprint
        self.latest.move_to_end((slide.slide_id, slide.folder))
        while len(self.latest) > _LATEST:
            self.latest.popitem(last=False)

    def _settled(self, slide: Followed, listing: Listing, facts: SlideFacts, now: float) -> bool:
        verdict = self._settling.step(
            slide.folder,
            listing,
            expected_cells=facts.expected_cells,
            is_whole=lambda picture: self._is_whole(listing.folder, picture),
            now=now,
        )
        slide.due = verdict.look_again_at
        return verdict.settled

    def _queue(self, slide: Followed, known: Known, listing: Listing, facts: SlideFacts, now: float) -> None:
        blood = is_blood(slide.slide_id, self._settings.not_blood)
        first = blood and self._express.take(now)
        try:
            arrivals.settle(
                self._store,
                known.revision,
                facts.values,
                blood=blood,
                sidecar_problems=facts.problems,
                sidecar_stat=facts.stat,
                signature=settled_signature(listing),
                rank=rank(self._source.priority, express=first),
            )
        except RowRejected as error:
            log.error("failed", revision=known.revision, reason=str(error))  # noqa: TRY400 - the reason says it all
            reason = f"its sidecar is refused: {error}"
            arrivals.fail_arriving(self._store, known.revision, reason, settled_signature(listing))
            return
        self._note_latest(slide, listing)
        self._note_ignored(slide, listing, now)
        log.info("settled", revision=known.revision, blood=blood)

    def _place(self, slide: Followed) -> None:
        """Note where a slide was seen, and that it was."""
        slide.gone_since, slide.troubled = None, False
        slide.root = identity_of(self._source.root)
        slide.identity = identity_of(self._source.root / slide.folder)
        if slide.identity is not None:
            self._places[slide.identity] = slide.folder
            while len(self._places) > _PLACES:
                self._places.popitem(last=False)

    def _unreadable(self, slide: Followed, known: Known | None, error: OSError, now: float, *, away: bool) -> Outcome:
        """A slide's folder is not to be had: with its root it is only away, under a root that is there it is gone."""
        if error.errno in PASSING:
            # The share or the disk stumbles: that says nothing of the slide, however long it lasts.
            if not slide.troubled:
                log.warning("a slide cannot be read just now", reason=error.strerror)
            slide.gone_since, slide.troubled = None, True
            return "follow"
        reason = "its folder went away before its pictures were read"
        if isinstance(error, PermissionError):
            reason = f"its folder cannot be read: {error.strerror}"
            known = known or arrivals.open_slide(self._store, self._row, slide.slide_id, slide.folder)
        if away or self._root_is_away(slide):
            slide.gone_since = None
            return "follow"
        if known is None or known.state != "arriving":
            return "leave"
        if slide.gone_since is None:
            slide.gone_since = now
        if now - slide.gone_since < self._settings.settle_seconds:
            return "follow"
        renamed = slide.identity is not None and self._places.get(slide.identity) != slide.folder
        if renamed and arrivals.forget(self._store, known):
            log.info("renamed while it arrived", revision=known.revision)
        else:
            if renamed:
                reason = "its folder was renamed before its pictures were read"
            log.warning("failed", revision=known.revision, reason=reason)
            arrivals.fail_arriving(self._store, known.revision, reason)
        return "leave"

    def _root_is_away(self, slide: Followed) -> bool:
        """Whether the root the slide was seen under is there no longer: gone, another in its place, or an empty folder,
        which is what an unmounted share leaves behind.
        """
        root = identity_of(self._source.root)
        if root is None or slide.root not in {None, root}:
            return True
        with os.scandir(self._source.root) as entries:
            return next(entries, None) is None

    def _is_whole(self, folder: str, picture: FoundPicture) -> bool:
        if picture.problem is not None:
            return True  # it will be named, not read
        path = PurePosixPath(folder) / picture.path
        try:
            with open_folder(self._source.root, str(path.parent)) as descriptor:
                return ends(read_file(descriptor, path.name)[0])
        except UnreadablePicture:
            return True  # a link or a device will not get any better by waiting
        except (OSError, FileChanging):
            return False


def settled_signature(listing: Listing) -> str:
    """What a revision keeps until it was read: the folder's signature, and what tells a file rewritten in place."""
    return f"{listing.signature}#{listing.fingerprint}"
