"""Is what lies in a finished slide's folder still what was classified? Stat says what to read, content what is new."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from sqlmodel import col, select

from smear.files import FileChanging, Stat, open_folder, read_file, sha256, shown
from smear.layout import FoundPicture, Listing
from smear.layouts.manifest import DIFFERS, MISSING, UNLISTED
from smear.pictures import UnreadablePicture
from smear.store import Store
from smear.tables import CellRow, PictureRow


#: Revisions whose re-copied files are remembered as read and found the same.
_REMEMBERED: Final = 1000


@dataclass(frozen=True)
class Recorded:
    """A file as it was classified: its stat, the hash of its content where it had one, what was wrong with it."""

    stat: Stat
    sha256: str | None
    problem: str | None = None

    def stands(self, picture: FoundPicture) -> bool:
        """Whether a look at the file gives no reason to read it again."""
        if picture.problem is not None:
            return picture.problem in {MISSING, self.problem}
        return self.stat == picture.stat and self.agreed(picture)

    def agreed(self, picture: FoundPicture) -> bool:
        """Whether a manifest still says of the file what it said when it was classified."""
        wrong = picture.sha256 is not None and self.sha256 not in {None, picture.sha256}
        return wrong == (self.problem == DIFFERS) and self.problem != UNLISTED


def recorded(store: Store, revision: int) -> dict[str, Recorded]:
    """The files of a revision by the path that is shown."""
    with store.read() as session:
        rows = session.exec(
            select(PictureRow, CellRow)
            .join(CellRow, col(CellRow.id) == col(PictureRow.cell), isouter=True)
            .where(PictureRow.revision == revision)
        )
        return {
            p.path: Recorded(Stat(p.size, p.mtime_ns, p.ctime_ns, int(p.inode)), getattr(c, "sha256", None), p.problem)
            for p, c in rows
        }


class Unchanged:
    """Remembers, for this process, which files were rewritten with the very bytes they had."""

    def __init__(self) -> None:
        self._verified: dict[int, dict[str, Stat]] = {}

    def suspects(self, revision: int, listing: Listing, known: dict[str, Recorded]) -> list[FoundPicture]:
        """The pictures that may differ from what was classified: other stat, or a name not seen before.

        A picture that is gone is no change: analysers purge their exports, and results stay.
        """
        verified = self._verified.get(revision, {})
        return [
            p
            for p in listing.pictures
            if not (verified.get(p.path) == p.stat or ((k := known.get(shown(p.path))) is not None and k.stands(p)))
        ]

    def remember(self, revision: int, pictures: list[FoundPicture]) -> None:
        """These were read and hold nothing new."""
        while len(self._verified) >= _REMEMBERED:
            self._verified.pop(next(iter(self._verified)))
        self._verified.setdefault(revision, {}).update({p.path: p.stat for p in pictures})


def any_new_content(root: Path, folder: str, suspects: list[FoundPicture], known: dict[str, Recorded]) -> bool:
    """Read the suspects: does any hold what the revision has not? Raises OSError, or FileChanging.

    The same name with other bytes is new; so is another name, unless its content is in the revision already.
    """
    contents = {k.sha256 for k in known.values() if k.sha256 is not None}
    for picture in suspects:
        before = known.get(shown(picture.path))
        if picture.problem is not None:
            if picture.problem != MISSING and (before is None or before.problem != picture.problem):
                return True
            continue
        content = _content(root, folder, picture)
        if before is not None and content == before.sha256 and before.agreed(picture):
            continue
        if content is None or content not in contents or before is not None:
            return True
    return False


def _content(root: Path, folder: str, picture: FoundPicture) -> str | None:
    """SHA-256 of a file; None for what gives no bytes (a link, a FIFO, a file too large)."""
    path = PurePosixPath(folder) / picture.path
    with open_folder(root, str(path.parent)) as descriptor:
        try:
            return sha256(read_file(descriptor, path.name)[0])
        except UnreadablePicture:
            return None
        except FileNotFoundError:
            raise FileChanging(picture.path) from None
