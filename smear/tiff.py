"""TIFF, as far as it is understood: one picture, 8 bits a channel. Its directory is read first, and strictly."""

import struct
from dataclasses import dataclass
from typing import Final


MAGICS: Final = (b"II*\0", b"MM\0*")

#: Bytes a value of each field type.
_SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_NUMBERS: Final = {1: "B", 3: "H", 4: "I"}
_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_STRIPS, _SAMPLES, _STRIP_BYTES, _TILES, _TILE_BYTES = 273, 277, 279, 324, 325
#: What a decoder is shown, and how many values each may have: pixels, and how they are laid out. All else (EXIF, notes
#: of makers) is kept from it.
_SHOWN: Final = {
    _WIDTH: 1, _HEIGHT: 1, _BITS: 8, _COMPRESSION: 1, _PHOTOMETRIC: 1, 266: 1, _STRIPS: 65_536, _SAMPLES: 1, 278: 1,
    _STRIP_BYTES: 65_536, 284: 1, 317: 1, 320: 768, 322: 1, 323: 1, _TILES: 65_536, _TILE_BYTES: 65_536, 338: 4,
    339: 8, 347: 65_536, 529: 3, 530: 2, 532: 6,
}  # fmt: skip
_COMPRESSIONS: Final = {1: "none", 5: "LZW", 7: "JPEG", 8: "deflate", 32773: "PackBits", 32946: "deflate"}
_TABLES: Final = 347
_JPEG_END: Final = b"\xff\xd9"
#: A directory has a dozen or two entries; a hostile one may promise 65,535.
_MAX_ENTRIES: Final = 512
_MAX_PARTS: Final = 65_536
_NEVER_WRITTEN: Final = "truncated TIFF: its end is zeros, allocated but never written"
#: No smear, compressed or not, holds so many zeros in a row; a file of which a part never came does. Deflate's own
#: checksums tell it better.
_HOLES: Final = {"none": bytes(4096), "LZW": bytes(512), "JPEG": bytes(512), "PackBits": bytes(512)}


class BadTiff(Exception):
    """A TIFF that is not read; its text says why. `cut_short` where more of it may still come."""

    def __init__(self, reason: str, *, cut_short: bool = False) -> None:
        super().__init__(reason)
        self.cut_short = cut_short


@dataclass(frozen=True)
class Tiff:
    """What a TIFF's directory says: its size in pixels, and the same picture with nothing but its pixels' fields.

    `parts` are its strips or tiles, (start, length) each, compressed as `compression` says; `tables` are what the parts
    of a JPEG share.
    """

    width_px: int
    height_px: int
    plain: bytes
    compression: str
    parts: tuple[tuple[int, int], ...]
    tables: bytes


def read(data: bytes) -> Tiff:
    """Read the directory of a TIFF and see that all it points to is there; raises BadTiff."""
    order = "<" if data[:2] == b"II" else ">"
    entries, following = _directory(data, order)
    if following != 0:
        raise BadTiff("several pictures in one TIFF")
    if _one(data, order, entries, _SUBFILE, 0) & 1:
        raise BadTiff("a preview, not a picture")
    compression = _one(data, order, entries, _COMPRESSION, 1)
    if compression not in _COMPRESSIONS:
        raise BadTiff(
            f"TIFF compression {compression}: one of {', '.join(sorted(set(_COMPRESSIONS.values())))} is read"
        )
    if any(bits != 8 for bits in _values(data, order, entries, _BITS, (1,))):
        raise BadTiff("a TIFF without 8 bits a channel")
    width_px, height_px = (_one(data, order, entries, tag, 0) for tag in (_WIDTH, _HEIGHT))
    if width_px == 0 or height_px == 0:
        raise BadTiff("damaged TIFF: it has no size")
    kind = _COMPRESSIONS[compression]
    parts = _parts(data, order, entries)
    # The bare numbers of a palette may be zero for as long as the background goes on.
    palette = kind == "none" and _one(data, order, entries, _SAMPLES, 1) < 3
    _check_parts(data, parts, kind, b"" if palette else _HOLES.get(kind, b""))
    return Tiff(width_px, height_px, _plain(data, order, entries), kind, parts, _tables(data, order, entries))


def _directory(data: bytes, order: str) -> tuple[dict[int, bytes], int]:
    """The entries of the first directory by tag, 12 bytes each, and where the next one is."""
    try:
        (at,) = struct.unpack_from(f"{order}I", data, 4)
        if at < 8:
            raise BadTiff("truncated TIFF: its directory is not written", cut_short=True)
        (count,) = struct.unpack_from(f"{order}H", data, at)
        end = at + 2 + 12 * count
        (following,) = struct.unpack_from(f"{order}I", data, end)
    except struct.error:
        raise BadTiff("truncated TIFF: its directory is missing", cut_short=True) from None
    if count == 0:
        raise BadTiff("truncated TIFF: its directory is not written", cut_short=True)
    if count > _MAX_ENTRIES:
        raise BadTiff(f"damaged TIFF: {count} entries in its directory")
    entries = {}
    for start in range(at + 2, end, 12):
        (tag,) = struct.unpack_from(f"{order}H", data, start)
        if tag in entries:
            raise BadTiff("damaged TIFF: a field is there twice")
        entries[tag] = data[start : start + 12]
    return entries, following


def _values(data: bytes, order: str, entries: dict[int, bytes], tag: int, default: tuple[int, ...]) -> tuple[int, ...]:
    """The whole numbers of a field; raises BadTiff where they lie outside the file or are none."""
    if tag not in entries:
        return default
    kind, count = struct.unpack_from(f"{order}HI", entries[tag], 2)
    if kind not in _NUMBERS or not 0 < count <= _MAX_PARTS:
        raise BadTiff("damaged TIFF: a field is of another kind than it should be")
    return struct.unpack_from(f"{order}{count}{_NUMBERS[kind]}", *_place(data, order, entries[tag]))


def _place(data: bytes, order: str, entry: bytes) -> tuple[bytes, int]:
    """Where a field's values are: (bytes, offset). Short ones stand in the entry itself."""
    kind, count, offset = struct.unpack_from(f"{order}HII", entry, 2)
    size = _SIZES.get(kind, 0) * count
    if size == 0:
        raise BadTiff("damaged TIFF: a field is of no known kind")
    if size <= 4:
        return entry, 8
    if offset + size > len(data):
        raise BadTiff("truncated TIFF: a field's values are missing", cut_short=True)
    return data, offset


def _one(data: bytes, order: str, entries: dict[int, bytes], tag: int, default: int) -> int:
    return _values(data, order, entries, tag, (default,))[0]


def _tables(data: bytes, order: str, entries: dict[int, bytes]) -> bytes:
    if _TABLES not in entries:
        return b""
    (count,) = struct.unpack_from(f"{order}I", entries[_TABLES], 4)
    where, at = _place(data, order, entries[_TABLES])
    return where[at : at + min(count, _MAX_PARTS)]


def _parts(data: bytes, order: str, entries: dict[int, bytes]) -> tuple[tuple[int, int], ...]:
    """(start, length) of every strip or tile."""
    offsets, sizes = (_STRIPS, _STRIP_BYTES) if _STRIPS in entries else (_TILES, _TILE_BYTES)
    starts, lengths = _values(data, order, entries, offsets, ()), _values(data, order, entries, sizes, ())
    if not starts or len(starts) != len(lengths):
        raise BadTiff("damaged TIFF: it does not say where its pixels are")
    return tuple(zip(starts, lengths, strict=True))


def _check_parts(data: bytes, parts: tuple[tuple[int, int], ...], kind: str, hole: bytes) -> None:
    """See that every part is in the file, and that none has, or ends in, zeros that were never written over."""
    tail, last = max(sum(length for _, length in parts) // 100, 16), b""
    for start, length in parts:
        if start == 0 or length == 0:
            raise BadTiff("truncated TIFF: some of its pixels are not written", cut_short=True)
        if start + length > len(data):
            raise BadTiff("truncated TIFF: its end is missing", cut_short=True)
        part = data[start : start + length]
        last = (last + part)[-tail:]
        # As in a BMP: nothing but zeros at the end is a file allocated ahead, not a stained smear. Strips are often one
        # row each: then the last rows count together.
        unended = kind == "JPEG" and not part.rstrip(b"\0").endswith(_JPEG_END)
        if unended or (length >= tail and not any(part[-tail:])):
            raise BadTiff(_NEVER_WRITTEN, cut_short=True)
        if hole and hole in part:
            raise BadTiff("damaged TIFF: a part of it was never written", cut_short=True)
    if not any(last):
        raise BadTiff(_NEVER_WRITTEN, cut_short=True)


def _plain(data: bytes, order: str, entries: dict[int, bytes]) -> bytes:
    """The same file with a second directory that names only what pixels need, and that is read instead of the first."""
    kept = [entries[tag] for tag in sorted(entries) if tag in _SHOWN]
    for entry in kept:
        tag, _, count = struct.unpack_from(f"{order}HHI", entry)
        if count > _SHOWN[tag]:
            raise BadTiff("damaged TIFF: a field has more values than it should have")
        _place(data, order, entry)
    padded = data + bytes(len(data) % 2)
    head = padded[:4] + struct.pack(f"{order}I", len(padded))
    return head + padded[8:] + struct.pack(f"{order}H", len(kept)) + b"".join(kept) + bytes(4)
