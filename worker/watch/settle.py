"""Has a slide arrived? Decided look by look from what stands still; time is a parameter, in monotonic seconds."""

from collections.abc import Callable
from dataclasses import dataclass, field

from smear.files import Stat
from smear.layout import FoundPicture, Listing


@dataclass(frozen=True)
class Verdict:
    """Whether the slide has settled; if not, when to look again at the latest unless something wakes us."""

    settled: bool
    look_again_at: float


@dataclass
class _Seen:
    stats: dict[str, Stat] = field(default_factory=dict)
    still_since: dict[str, float] = field(default_factory=dict)
    whole: dict[str, bool] = field(default_factory=dict)
    told_by: tuple[Stat | None, Stat | None] = (None, None)
    told_since: float = 0.0
    changed_at: float = 0.0


class Settling:
    """Follows the slides that are arriving.

    A file has settled when its stat stood still for `file_settle_seconds` and it is there to its end. A slide has,
    when its marker or its expected count is there and every file has settled, or when nothing in it changed for
    `settle_seconds`.
    """

    def __init__(self, file_settle_seconds: float, settle_seconds: float) -> None:
        self._file_settle_seconds, self._settle_seconds = file_settle_seconds, settle_seconds
        self._slides: dict[str, _Seen] = {}

    def step(
        self,
        slide_id: str,
        listing: Listing,
        *,
        expected_cells: int | None,
        is_whole: Callable[[FoundPicture], bool],
        now: float,
    ) -> Verdict:
        """One look at a slide. `is_whole` reads a file's end; it is asked once for each stat that stands still."""
        seen = self._slides.setdefault(slide_id, _Seen(changed_at=now, told_since=now))
        self._note(seen, listing, now)
        there = sum(picture.problem is None for picture in listing.pictures)
        enough = listing.complete_marker or 0 < (expected_cells or 0) <= there
        all_here = enough and len(listing.pictures) > 0  # a marker alone waits: some writers put it there first
        # A manifest or sidecar that is still being written may name fewer files than there will be.
        told = now - seen.told_since >= self._file_settle_seconds or seen.told_by == (None, None)
        if all_here and told and self._files_settled(seen, listing, is_whole, now):
            return Verdict(settled=True, look_again_at=now)
        quiet_at = seen.changed_at + self._settle_seconds
        if now >= quiet_at:
            return Verdict(settled=True, look_again_at=now)
        still_at = max(*seen.still_since.values(), seen.told_since, now - self._settle_seconds)
        still_at += self._file_settle_seconds
        return Verdict(settled=False, look_again_at=still_at if all_here and still_at > now else quiet_at)

    def _note(self, seen: _Seen, listing: Listing, now: float) -> None:
        stats = {p.path: p.stat for p in listing.pictures}
        changed = [path for path, stat in stats.items() if seen.stats.get(path) != stat]
        for path in changed:
            seen.still_since[path] = now
            seen.whole.pop(path, None)
        gone = seen.stats.keys() - stats.keys()
        for path in gone:
            del seen.still_since[path]
            seen.whole.pop(path, None)
        told_by = (listing.sidecar, listing.manifest)
        if told_by != seen.told_by:
            seen.told_since = now
        if changed or gone or told_by != seen.told_by:
            seen.changed_at = now
        seen.stats, seen.told_by = stats, told_by

    def _files_settled(
        self, seen: _Seen, listing: Listing, is_whole: Callable[[FoundPicture], bool], now: float
    ) -> bool:
        if any(now - since < self._file_settle_seconds for since in seen.still_since.values()):
            return False
        for picture in listing.pictures:
            if picture.path not in seen.whole:
                seen.whole[picture.path] = is_whole(picture)
        return all(seen.whole[picture.path] for picture in listing.pictures)

    def forget(self, slide_id: str) -> None:
        """The slide has settled, or is followed no longer."""
        self._slides.pop(slide_id, None)
