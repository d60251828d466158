"""`manifest.json` and `manifest.csv`: which files belong to a slide, with the SHA-256 of each and their number."""

import csv
import io
import json
import re
from dataclasses import dataclass
from typing import Any, Final


#: In any case; where both are there the first counts.
MANIFESTS: Final = ("manifest.json", "manifest.csv")
#: A line a file: room for tens of thousands.
MAX_MANIFEST_BYTES: Final = 4 * 2**20
#: No file system holds longer names.
_MAX_NAME_BYTES: Final = 255

_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)


class BadManifest(Exception):
    """A manifest that cannot be used; its text says why."""


@dataclass(frozen=True)
class Manifest:
    """The files of a slide by name, with the SHA-256 of each (64 small hexadecimal digits) where it is told."""

    files: dict[str, str | None]
    count: int | None


def parse(name: str, data: bytes) -> Manifest:
    """Read a manifest; raises BadManifest. Strict, since a file that is left out of it would be left out of the slide.

    JSON: `{"count": 2, "files": [{"file": "a.jpg", "sha256": "..."}, ...]}`, or `files` as an object of hashes by name.
    CSV: the columns `file` and `sha256`, and where there is a column `count` the same number in every row. Columns are
    parted by commas or semicolons.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadManifest("it is not UTF-8 text") from None
    return _from_json(text) if name.lower().endswith(".json") else _from_csv(text)


def _from_json(text: str) -> Manifest:
    try:
        told = json.loads(text, object_pairs_hook=_told_once)
    except (ValueError, RecursionError):
        raise BadManifest("it is not JSON, or only part of it is there") from None
    files = told.get("files") if isinstance(told, dict) else None
    if isinstance(files, dict):
        pairs = list(files.items())
    elif isinstance(files, list) and all(isinstance(one, dict) for one in files):
        pairs = [(one.get("file"), one.get("sha256")) for one in files]
    else:
        raise BadManifest("it has no list of files")
    count = told.get("count")
    if count is not None and (isinstance(count, bool) or not isinstance(count, int)):
        raise BadManifest("its count is no whole number")
    return _checked(pairs, count)


def _told_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    told = dict(pairs)
    if len(told) != len(pairs):
        raise BadManifest("it lists a file twice, or says something else twice")
    return told


def _from_csv(text: str) -> Manifest:
    if text and not text.endswith(("\n", "\r")):
        raise BadManifest("its last line is not ended")
    first = text.split("\n", 1)[0]
    try:
        rows = list(csv.DictReader(io.StringIO(text), delimiter=";" if ";" in first else ",", strict=True))
    except csv.Error as error:
        raise BadManifest(f"it is not CSV: {error}") from None
    rows = [{(k or "").strip().lower(): v for k, v in row.items()} for row in rows]
    if not rows or "file" not in rows[0]:
        raise BadManifest("it has no column `file`, or no line")
    counts = {(row.get("count") or "").strip() for row in rows} - {""}
    if len(counts) > 1 or not all(count.isascii() and count.isdigit() and len(count) < 10 for count in counts):
        raise BadManifest("its count is no whole number, or not the same in every line")
    pairs = [(row["file"], (row.get("sha256") or "").strip() or None) for row in rows]
    return _checked(pairs, int(counts.pop()) if counts else None)


def _is_file_name(text: str) -> bool:
    """Whether a file could bear this name: JSON can spell text that is in no encoding, and of any length."""
    try:
        name = text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return text not in {"", ".", ".."} and b"/" not in name and b"\0" not in name and len(name) <= _MAX_NAME_BYTES


def _checked(pairs: list[tuple[Any, Any]], count: int | None) -> Manifest:
    files: dict[str, str | None] = {}
    for file, sha256 in pairs:
        if not isinstance(file, str) or not _is_file_name(file):
            raise BadManifest("it lists something that is no file name in the slide's folder")
        if sha256 is not None and (not isinstance(sha256, str) or _SHA256.fullmatch(sha256) is None):
            raise BadManifest("one of its SHA-256 is not 64 hexadecimal digits")
        if file in files:
            raise BadManifest("it lists a file twice")
        files[file] = None if sha256 is None else sha256.lower()
    return Manifest(files, count)
