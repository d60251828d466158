"""Sidecar and manifest of a slide, read together, with a sentence for each thing that is not understood."""

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final

from smear.files import FileChanging, Stat, open_folder, read_file, shown
from smear.listing import Listing
from smear.pictures import UnreadablePicture
from smear.sidecar import MAX_SIDECAR_BYTES, Understood, understand


#: A sidecar that was being written while it was read has a stat that no file has: it is read again.
CHANGING: Final = "changing"


@dataclass(frozen=True)
class SlideFacts:
    """What sidecar and manifest say of a slide.

    `values` are the sidecar's fields that are understood, with `expected_cells` from the manifest where the sidecar
    gives none; None where nothing is known. `problems` are {"file", "reason"}. `stat` tells these files, rewritten or
    not, from any other; None where there are none.
    """

    values: dict[str, Any] | None = None
    problems: list[dict[str, str]] = field(default_factory=list)
    stat: str | None = None

    @property
    def expected_cells(self) -> int | None:
        """How many pictures are announced; None where no number is."""
        expected: int | None = (self.values or {}).get("expected_cells")
        return expected


def read_facts(root: Path, listing: Listing) -> SlideFacts:
    """Read the sidecar of a slide that was listed. It is a hint: whatever is wrong with it is a problem, no error."""
    values: dict[str, Any] = {}
    problems: list[dict[str, str]] = []
    changing = False
    if (name := listing.sidecar_name) is not None:
        understood, changing = _read(root, listing.folder, name)
        if understood.sidecar is not None:
            values = understood.sidecar.model_dump(exclude_none=True)
        problems = [{"file": shown(name), "reason": reason} for reason in understood.problems]
        problems += [
            {"file": shown(other), "reason": f"not used: {shown(name)} takes precedence"}
            for other in listing.other_sidecars
        ]
    if listing.expected is not None:
        values.setdefault("expected_cells", listing.expected)
    return SlideFacts(values or None, problems, CHANGING if changing else facts_stat(listing))


def facts_stat(listing: Listing) -> str | None:
    """What tells, without reading, that sidecar and manifest of a slide are the same: the sidecar's path last."""
    if listing.sidecar is None or listing.sidecar_name is None:
        return None if listing.manifest is None else f"{_told(listing.manifest)}|"
    manifest = "" if listing.manifest is None else f"{_told(listing.manifest)}|"
    path = PurePosixPath(listing.folder) / listing.sidecar_name
    return f"{manifest}{len(listing.other_sidecars)}|{sidecar_stat(listing.sidecar, str(path))}"


def sidecar_stat(stat: Stat, path: str) -> str:
    """The part of `facts_stat` that one look at the sidecar tells; `path` is relative to the source."""
    return f"{_told(stat)}:{shown(path)}"


def _told(stat: Stat) -> str:
    return f"{stat.size}:{stat.mtime_ns}:{stat.ctime_ns}:{stat.inode}"


def _read(root: Path, folder: str, name: str) -> tuple[Understood, bool]:
    """What a sidecar says, and whether it is being written."""
    try:
        with open_folder(root, folder) as descriptor:
            data = read_file(descriptor, name, MAX_SIDECAR_BYTES)[0]
    except FileChanging:
        return Understood(None, ("not used yet: it is being written",)), True
    except UnreadablePicture as error:
        return Understood(None, (f"not used: {error}",)), False
    except OSError as error:
        return Understood(None, (f"cannot be read: {error.strerror}",)), True
    return understand(data, f"slide{PurePosixPath(name).suffix}"), False
