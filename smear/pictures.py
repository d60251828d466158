"""From the bytes of a picture file to RGB, or a named refusal in plain words.

Nothing is guessed: a picture that is cut short, that carries no colour, or that is none at all is refused
with a reason a technologist can act on, because a network would classify the rubbish without a word.
"""

import io
import struct
import threading
import zlib
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, UnidentifiedImageError

from smear import tiff
from smear.memory import is_shortage
from smear.strips import check_strips
from smear.tiff import BadTiff


RGB = npt.NDArray[np.uint8]  # (height, width, 3), red first
CheckSize = Callable[[int, int], None]  # (width_px, height_px): returns, or raises MisfitPicture

#: Larger files are not opened. A DI-60 JPEG has about 25 KB, its BMP 390 KB.
MAX_BYTES: Final = 16 * 2**20
#: Larger pictures are not decoded: a bomb of a few KB can unfold to gigabytes.
MAX_PIXELS: Final = 16_000_000

_JPEG, _PNG, _BMP = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM"
_PNG_END: Final = b"IEND\xaeB`\x82"
_JPEG_END: Final = b"\xff\xd9"
_PNG_DEPTH_AT: Final = 24
_JPEG_SCAN: Final = 0xDA
#: No scan of a coloured picture holds this many zeros in a row; a file written out of order, or in part, does.
_HOLE: Final = bytes(512)
#: Nor do the bare pixels of one hold a page of them.
_PAGE: Final = bytes(4096)
_MAX_CHANNELS: Final = 4
#: Where each pass of an interlaced PNG begins, and how far apart its pixels lie: left, top, right, down.
_ADAM7: Final = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
)  # fmt: skip
#: Bytes inflated at a time: what is only counted need not lie in memory as a whole.
_PIECE: Final = 2**20
_PADDING: Final = b"\0\r\n\x1a "  # what writers that allocate ahead, or transfers, leave behind the end marker
_WITH_COLOUR: Final = frozenset({"RGB", "P"})


class UnreadablePicture(Exception):
    """A picture that cannot be turned into colour values; its text is the reason. Trying again does not help."""


class MisfitPicture(Exception):
    """A picture whose size does not fit its geometry profile; its text names the size."""


def ends(data: bytes) -> bool:
    """Whether a picture file is there to its end, told without decoding it.

    A file being copied, or allocated ahead and not yet filled, lacks the JPEG end marker, the PNG end chunk, the
    number of bytes that its BMP header announces, the strips that its TIFF directory names, or has a hole of zeros
    amid its pixels. What is no picture at all has no end to wait for: True.
    """
    if data.startswith(_JPEG):
        return data.rstrip(_PADDING).endswith(_JPEG_END) and not _hole(data)
    if data.startswith(_PNG):
        return data.rstrip(_PADDING).endswith(_PNG_END.rstrip(_PADDING))
    if data.startswith(_BMP):
        return len(data) >= 6 and len(data) >= struct.unpack_from("<I", data, 2)[0] and not _unwritten(data)
    if data.startswith(tiff.MAGICS):
        try:
            tiff.read(data)
        except BadTiff as error:
            return not error.cut_short
        return True
    return any(data[:64])


def _hole(jpeg: bytes) -> bool:
    """Whether part of a JPEG's scan was never written. Zeros elsewhere (notes of makers, padding) mean nothing."""
    if _HOLE not in jpeg:
        return False
    at = 2
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF and jpeg[at + 1] != _JPEG_SCAN:
        at += 2 + struct.unpack_from(">H", jpeg, at + 2)[0]
    return jpeg.find(_HOLE, at, len(jpeg.rstrip(_PADDING))) >= 0


def _unwritten(bmp: bytes) -> bool:
    # A BMP has no end marker: a page, or a last hundredth, of nothing but zeros (a few rows of pixels) is a file
    # allocated ahead, not a stained smear. In a palette's numbers a page of zeros may be the background.
    tail = bmp[-(len(bmp) // 100) :]
    return not any(tail) or (_PAGE in bmp and not _has_palette(bmp))


def _has_palette(bmp: bytes) -> bool:
    try:
        (header_bytes,) = struct.unpack_from("<I", bmp, 14)
        bits: int = struct.unpack_from("<H", bmp, 24 if header_bytes == 12 else 28)[0]
    except struct.error:
        return False
    return 0 < bits <= 8


class Scratch(threading.local):
    """Memory to decode into, a piece a thread, used again and again.

    Without it every picture takes fresh pages from the kernel and gives them back: a quarter of the time to read one.
    """

    _LARGEST: Final = 2**20

    def __init__(self) -> None:
        self._bytes = np.empty(0, np.uint8)

    def room(self, size: int) -> npt.NDArray[np.uint8] | None:
        """At least `size` bytes, which the next call in this thread hands out again; None for more than is kept."""
        if size > self._LARGEST:
            return None
        if len(self._bytes) < size:
            self._bytes = np.empty(size, np.uint8)
        return self._bytes


def decode(data: bytes, fits: CheckSize | None = None, scratch: Scratch | None = None) -> RGB:
    """Decode JPEG, PNG, BMP or TIFF bytes to (height, width, 3) uint8 RGB.

    `fits(width_px, height_px)` is asked once the header is known, before any pixel is decoded, and may raise
    MisfitPicture. Raises UnreadablePicture with the reason. JPEG goes through libjpeg-turbo with its accurate
    DCT, so that every host gets the same values; the rest through Pillow. With `scratch` the values hold only until
    the next picture is decoded in the same thread.
    """
    if not data:
        raise UnreadablePicture("empty file")
    if len(data) > MAX_BYTES:
        raise UnreadablePicture(f"file of {len(data) / 2**20:.0f} MB, at most {MAX_BYTES // 2**20} MB are read")
    if data.startswith(_JPEG):
        return _decode_jpeg(data, fits, scratch)
    if data.startswith(_PNG):
        return _decode_other(data, "PNG", fits)
    if data.startswith(_BMP):
        return _decode_other(data, "BMP", fits)
    if data.startswith(tiff.MAGICS):
        return _decode_tiff(data, fits)
    if not any(data[:64]):
        raise UnreadablePicture("file of zeros: allocated but never written")
    raise UnreadablePicture("not a JPEG, PNG, BMP or TIFF picture")


def _check_size(width_px: int, height_px: int, fits: CheckSize | None) -> None:
    if width_px * height_px > MAX_PIXELS:
        raise UnreadablePicture(f"{width_px}x{height_px} pixels, at most {MAX_PIXELS // 10**6} million are decoded")
    if fits is not None:
        fits(width_px, height_px)


def _decode_jpeg(data: bytes, fits: CheckSize | None, scratch: Scratch | None) -> RGB:
    try:
        height_px, width_px, colour_space, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError as error:
        raise UnreadablePicture(f"damaged JPEG header: {error}") from None
    if colour_space in {"CMYK", "YCCK"}:
        raise UnreadablePicture("CMYK JPEG: no camera colours")
    if colour_space.upper().startswith("GRAY"):
        raise UnreadablePicture("grey picture: the stain's colour is missing")
    _check_size(width_px, height_px, fits)
    if not ends(data):
        whole = data.rstrip(_PADDING).endswith(_JPEG_END)
        raise UnreadablePicture(
            "damaged JPEG: a part of it was never written" if whole else "truncated JPEG: its end marker is missing"
        )
    try:
        room = None if scratch is None else scratch.room(width_px * height_px * 3)
        rgb: RGB = simplejpeg.decode_jpeg(data, "RGB", buffer=room)
    except ValueError as error:
        if is_shortage(error):  # libjpeg says it as it says that a picture is damaged
            raise MemoryError(str(error)) from error
        raise UnreadablePicture(f"damaged JPEG: {error}") from None
    return rgb


def _decode_other(data: bytes, kind: str, fits: CheckSize | None) -> RGB:
    if kind == "PNG":
        _check_chunks(data)
    try:
        # The header is asked first: Pillow itself only warns of a picture that unfolds to gigabytes.
        _check_size(*_declared_size(data, kind), fits)
        if kind == "PNG":
            _check_rows(data)
        with Image.open(io.BytesIO(data), formats=[kind]) as picture:
            if kind == "BMP" and not ends(data):
                raise UnreadablePicture("truncated BMP: its end, or a part of it, is missing")
            if kind == "PNG" and data[_PNG_DEPTH_AT] > 8:
                raise UnreadablePicture("16 bits a channel: 8 are expected")
            return np.asarray(_in_colour(picture))
    except struct.error:
        raise UnreadablePicture(f"damaged {kind}: its header is cut short") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UnreadablePicture(f"damaged {kind}: {_said(error)}") from None


def _decode_tiff(data: bytes, fits: CheckSize | None) -> RGB:
    try:
        read = tiff.read(data)
        _check_size(read.width_px, read.height_px, fits)
        check_strips(data, read, MAX_PIXELS * _MAX_CHANNELS)
        with Image.open(io.BytesIO(read.plain), formats=["TIFF"]) as picture:
            assert picture.size == (read.width_px, read.height_px)  # the very fields that we read
            return np.asarray(_in_colour(picture))
    except BadTiff as error:
        raise UnreadablePicture(str(error)) from None
    except UnreadablePicture:
        raise
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, RuntimeError, struct.error,
            Image.DecompressionBombError) as error:  # fmt: skip
        raise UnreadablePicture(f"damaged TIFF: {_said(error)}") from None


def _said(error: Exception) -> str:
    # Pillow names the object in memory that it was given: another name at every attempt, and of no use to anybody.
    return "its fields contradict each other" if isinstance(error, UnidentifiedImageError) else str(error)


def _check_chunks(png: bytes) -> None:
    """Raise UnreadablePicture unless a PNG is whole, chunk by chunk, and begins with its one header.

    Pillow leaves the checksums of pixels unchecked, and takes a header wherever it stands: a later one would get
    past the check of the size.
    """
    at, ended = len(_PNG), False
    while not ended and at + 12 <= len(png):
        length, kind = struct.unpack_from(">I4s", png, at)
        end = at + 12 + length
        if end > len(png):
            break
        if (kind == b"IHDR") != (at == len(_PNG)):
            raise UnreadablePicture("damaged PNG: its header is not where it belongs")
        if zlib.crc32(png[at + 4 : end - 4]) != struct.unpack_from(">I", png, end - 4)[0]:
            raise UnreadablePicture("damaged PNG: a checksum is wrong")
        at, ended = end, kind == b"IEND"
    if not ended:
        raise UnreadablePicture("truncated PNG: its end is missing")


def _declared_size(data: bytes, kind: str) -> tuple[int, int]:
    """Width and height in pixels as the header of a PNG or BMP announces them; struct.error where it is cut short."""
    if kind == "PNG":
        width_px, height_px = struct.unpack_from(">II", data, 16)
        return width_px, height_px
    (header_bytes,) = struct.unpack_from("<I", data, 14)
    # The OS/2 header counts in 16 bits; a negative height is a BMP stored from the top down.
    width_px, height_px = struct.unpack_from("<HH" if header_bytes == 12 else "<ii", data, 18)
    return abs(width_px), abs(height_px)


def _check_rows(png: bytes) -> None:
    """Raise UnreadablePicture unless a PNG, whole chunk by chunk, holds every row of its pixels.

    Pillow leaves rows that never came black, without a word, where the compressed stream ends in good order.
    """
    width_px, height_px, depth, colours, _, _, interlaced = struct.unpack_from(">IIBBBBB", png, 16)
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colours, 0)
    missing = 0
    for left, top, right, down in _ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-max(width_px - left, 0) // right), -(-max(height_px - top, 0) // down)
        missing += rows * (1 + (columns * bits + 7) // 8) if columns else 0
    inflating, at = zlib.decompressobj(), len(_PNG)
    try:
        while missing > 0 and at + 12 <= len(png):
            length, kind = struct.unpack_from(">I4s", png, at)
            waiting = png[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
            while waiting and missing > 0:
                missing -= len(inflating.decompress(waiting, _PIECE))
                waiting = inflating.unconsumed_tail
            at += 12 + length
    except zlib.error as error:
        raise UnreadablePicture(f"damaged PNG: {error}") from None
    if missing > 0:
        raise UnreadablePicture("damaged PNG: part of its pixels is missing")


def _in_colour(picture: Any) -> Any:
    """Pillow's picture in RGB; grey is refused, an opaque alpha channel dropped, a see-through one refused."""
    if picture.mode in {"RGBA", "PA"} or (picture.mode == "P" and "transparency" in picture.info):
        picture = picture.convert("RGBA")
        if picture.getchannel("A").getextrema()[0] < 255:
            raise UnreadablePicture("see-through picture: part of the cell is missing")
        return picture.convert("RGB")
    if picture.mode not in _WITH_COLOUR:
        raise UnreadablePicture(f"picture of mode {picture.mode}: the stain's colour is missing")
    return picture.convert("RGB")
