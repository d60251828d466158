"""`worker rescan`: a source compared whole and at once; what differs is opened, and the watcher takes it from there."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from smear.files import FileChanging, shown
from smear.intervals import ADULT, Intervals
from smear.layout import Listing, layout
from smear.slide_facts import CHANGING, facts_stat, read_facts
from smear.sources import Source
from smear.store import RowRejected, Store
from worker import arrivals
from worker.arrivals import Known
from worker.sidecars import take_up
from worker.watch.changes import Recorded, Unchanged, any_new_content, recorded
from worker.watch.look import settled_signature


_BATCH = 500
Verdict = Literal["same", "new", "changed", "sidecar changed", "under way", "left alone", "cannot be read", "away"]


@dataclass(frozen=True)
class Difference:
    """A slide that is not as the database has it, or that could not be compared; `slide_id` is empty for the source."""

    source: str
    slide_id: str
    found: Verdict
    reason: str

    def to_object(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return dict(vars(self))


class Rescan:
    """Compares every slide of a source: files by size, times and inode, or with `by_hash` by every byte.

    A slide that is new or holds something new becomes a revision that is arriving; the watcher settles it as any other,
    so that nothing half-written is classified, and it does no harm beside a watcher or without one.
    """

    def __init__(self, store: Store, source: Source, *, by_hash: bool, intervals: Intervals = ADULT) -> None:
        self._store, self._source, self._by_hash, self._intervals = store, source, by_hash, intervals
        self.source = source.name
        self._layout = layout(source.layout)
        self._row = arrivals.register_source(store, source)
        #: How many slides came to which verdict.
        self.counts: Counter[Verdict] = Counter()

    def run(self, progress: Callable[[], object] = lambda: None) -> Iterator[Difference]:
        """Compare; yields what differs. `progress` is called after each slide."""
        try:
            found = self._layout.survey(self._source.root)
            while batch := list(islice(found, _BATCH)):
                known = arrivals.known_of(self._store, self._row, [slide_id for slide_id, _, _ in batch])
                for slide_id, folder, _ in batch:
                    yield from self._compare(slide_id, folder, known.get(slide_id))
                    progress()
        except OSError as error:
            self.counts["away"] += 1
            yield Difference(self._source.name, "", "away", f"the drop folder cannot be read: {error.strerror}")

    def _compare(self, slide_id: str, folder: str, known: Known | None) -> Iterator[Difference]:
        try:
            if known is not None and known.folder != folder:
                slide_id, known = arrivals.known_by_a_name(self._store, self._row, self._layout, slide_id, folder)
            verdict, reason = self._verdict(slide_id, folder, known)
        except FileChanging:
            verdict, reason = "under way", "a file is being written"
        except OSError as error:
            verdict, reason = "cannot be read", error.strerror or str(error)
        except RowRejected as error:
            arrivals.refuse(self._store, self._row, slide_id, folder, str(error))
            slide_id, verdict, reason = arrivals.stand_in_name(folder), "cannot be read", str(error)
        self.counts[verdict] += 1
        if verdict in {"new", "changed", "sidecar changed", "cannot be read"}:
            yield Difference(self._source.name, slide_id, verdict, reason)

    def _verdict(self, slide_id: str, folder: str, known: Known | None) -> tuple[Verdict, str]:
        if known is not None and known.state in {"arriving", "queued"}:
            return "under way", known.state
        if known is not None and known.state == "listed":
            return "left alone", known.state
        listing = self._layout.look(self._source.root, folder)
        if known is None:
            if not listing.pictures:
                return "left alone", "no pictures"
            arrivals.open_slide(self._store, self._row, slide_id, folder)
            return "new", "not seen before"
        before = recorded(self._store, known.revision)
        if not self._differs(listing, known, before):
            return self._compare_sidecar(listing, known, before)
        arrivals.open_revision(self._store, known)
        return "changed", "its files hold what was not classified"

    def _compare_sidecar(self, listing: Listing, known: Known, before: dict[str, Recorded]) -> tuple[Verdict, str]:
        stat = facts_stat(listing)
        all_there = before.keys() <= {shown(picture.path) for picture in listing.pictures}
        if (stat == known.facts_stat and not self._by_hash) or (listing.sidecar is None and not all_there):
            return "same", ""
        facts = read_facts(self._source.root, listing)
        if facts.stat != CHANGING and take_up(self._store, known.revision, facts, self._intervals):
            return "sidecar changed", "what it says was taken up; nothing is classified again"
        return "same", ""

    def _differs(self, listing: Listing, known: Known, before: dict[str, Recorded]) -> bool:
        if not before and known.signature == settled_signature(listing):
            return False  # it failed without ever being read: there is no hash to compare with
        suspects = list(listing.pictures) if self._by_hash else Unchanged().suspects(known.revision, listing, before)
        return any_new_content(self._source.root, listing.folder, suspects, before)
