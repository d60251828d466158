"""Layout `manifest`: as `slides`, with a CSV or JSON in the slide's folder that lists files, SHA-256 and count."""

import os
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Final

from smear.files import FileChanging, Stat, open_folder, open_inside, read_file
from smear.layouts.slides import SlidesLayout
from smear.listing import (
    FoundPicture,
    Listing,
    Names,
    first_of,
    folder_time,
    folders_in,
    is_hint,
    is_picture,
    names_in,
    slide_name,
    time_of,
)
from smear.manifest import MANIFESTS, MAX_MANIFEST_BYTES, BadManifest, Manifest, parse
from smear.pictures import UnreadablePicture


MISSING: Final = "listed in the manifest, but not there"
UNLISTED: Final = "not listed in the manifest"
DIFFERS: Final = "its content is not what the manifest says: the SHA-256 differs"
_NOT_THERE: Final = Stat(0, 0, 0, 0)


class ManifestLayout:
    """A slide is complete when all that its manifest lists is there; a picture with another hash is a named problem."""

    name: Final = "manifest"
    _outer = SlidesLayout()

    def slides(self, root: Path) -> Iterator[tuple[str, str]]:
        """Every folder of the root is a slide."""
        return self._outer.slides(root)

    def survey(self, root: Path) -> Iterator[tuple[str, str, str]]:
        """A look at each folder's time, and at its manifest's stat."""
        with open_folder(root, ".") as descriptor:
            for entry in folders_in(descriptor):
                if (time := folder_time(entry)) is None:
                    continue
                try:
                    with open_inside(descriptor, entry.name) as slide:
                        signature = _signature(time, _manifest_stat(slide))
                except OSError:
                    signature = ""
                yield slide_name(entry.name), entry.name, signature

    def slide_of(self, path: str) -> tuple[str, str] | None:
        """The first folder of the path."""
        return self._outer.slide_of(path)

    def other_name(self, slide_id: str, folder: str) -> str:
        """Two folders of a root never have one name."""
        return self._outer.other_name(slide_id, folder)

    def look(self, root: Path, folder: str) -> Listing:
        """The pictures that the manifest lists, each with its hash; without a manifest, those that are there."""
        with open_folder(root, folder) as slide:
            time, seen = time_of(slide), names_in(slide)
            name = first_of(seen.others, MANIFESTS)
            if name is None:
                pictures, complete, stat, expected = seen.pictures, False, None, None
            else:
                stat = seen.others[name]
                pictures, complete, expected = _compare(slide, name, stat, seen)
        return Listing(
            tuple(sorted(pictures, key=lambda p: p.path)),
            seen.complete_marker or complete,
            seen.sidecar,
            _signature(time, stat),
            folder,
            seen.sidecar_name,
            stat,
            expected,
            seen.other_sidecars,
        )

    def has(self, root: Path, folder: str) -> bool:
        """Whether its folder is there."""
        return self._outer.has(root, folder)

    def news(self, root: Path) -> str:
        """The root's own time."""
        return self._outer.news(root)

    def is_slide(self, folder: Path) -> bool:
        """A folder with pictures or a manifest in it is a slide."""
        with os.scandir(folder) as entries:
            listed = (e for e in entries if is_picture(e.name) or e.name.lower() in MANIFESTS)
            return any(not e.is_dir(follow_symlinks=False) for e in listed)

    def stranger(self, path: str) -> str | None:
        """Pictures lie one folder deep."""
        return None if is_hint(path, 2, MANIFESTS) else self._outer.stranger(path)


def _compare(slide: int, name: str, stat: Stat, seen: Names) -> tuple[list[FoundPicture], bool, int | None]:
    """The slide's pictures as its manifest has them, whether all it lists is there, and how many pictures it lists."""
    try:
        manifest = parse(name, read_file(slide, name, MAX_MANIFEST_BYTES)[0])
    except FileChanging:
        return seen.pictures, False, None
    except (BadManifest, UnreadablePicture) as error:
        unusable = FoundPicture(name, stat, None, problem=f"the manifest cannot be used: {error}")
        return [*seen.pictures, unusable], False, None
    pictures, missing = _listed(manifest, seen)
    expected = sum(is_picture(listed) for listed in manifest.files)
    if manifest.count is not None and manifest.count != len(manifest.files):
        problem = f"the manifest lists {len(manifest.files)} files and says {manifest.count}"
        # Which of the two numbers is right is not known: the larger one overlooks no picture.
        expected = max(manifest.count, expected)
        return [*pictures, FoundPicture(name, stat, None, problem=problem)], False, expected
    return pictures, not missing and bool(manifest.files), expected


def picture_files(files: Iterable[tuple[str, str | None]]) -> int:
    """How many of (path, problem) are picture files of the slide: there, and not left out by its manifest."""
    return sum(is_picture(PurePosixPath(path).name) and problem not in {MISSING, UNLISTED} for path, problem in files)


def _listed(manifest: Manifest, seen: Names) -> tuple[list[FoundPicture], bool]:
    there = {p.path: p for p in seen.pictures}
    alike = _unique({_plain(path): path for path in reversed(there)}, there)
    pictures, missing = [], False
    for listed, sha256 in manifest.files.items():
        path = listed if listed in there else alike.get(_plain(listed), listed)
        if (found := there.pop(path, None)) is not None:
            pictures.append(replace(found, sha256=sha256))
        elif listed not in seen.others and not listed.startswith("."):
            missing = True
            if is_picture(listed):
                pictures.append(FoundPicture(listed, _NOT_THERE, None, sha256, MISSING))
    pictures += [replace(found, problem=UNLISTED) for found in there.values()]
    return pictures, missing


def _plain(name: str) -> str:
    """A name as systems compare it that know no case and one way to write an accent."""
    return unicodedata.normalize("NFC", name).casefold()


def _unique(alike: dict[str, str], there: dict[str, FoundPicture]) -> dict[str, str]:
    """Only names that are alike to one other: two that differ in case alone are two files."""
    return alike if len(alike) == len(there) else {}


def _manifest_stat(slide: int) -> Stat | None:
    for name in MANIFESTS:
        try:
            return Stat.of(os.stat(name, dir_fd=slide, follow_symlinks=False))
        except FileNotFoundError:
            continue
    # Spelt in capitals, as systems do that know no difference: only a list of names tells.
    with os.scandir(slide) as entries:
        others = {e.name: Stat.of(e.stat(follow_symlinks=False)) for e in entries if e.name.lower() in MANIFESTS}
    name_there = first_of(others, MANIFESTS)
    return others[name_there] if name_there is not None else None


def _signature(time: str, stat: Stat | None) -> str:
    return time if stat is None else f"{time}|{stat.size}:{stat.mtime_ns}:{stat.inode}"
