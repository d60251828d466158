"""The strips or tiles of a TIFF, each decompressed to its end: a decoder that gives up early tells nobody."""

import zlib
from typing import Final

import simplejpeg

from smear.tiff import BadTiff, Tiff


#: Bytes inflated at a time: what is only checked need not lie in memory as a whole.
_PIECE: Final = 2**20
#: The marker that begins a JPEG, and the one that ends the tables which its parts share.
_MARKER_BYTES: Final = 2


def check_strips(data: bytes, read: Tiff, max_bytes: int) -> None:
    """Raise BadTiff where a part of the picture's pixels is cut short or damaged.

    `read` is what its directory says; together the parts may unfold to `max_bytes`. Deflate carries a checksum behind
    the last pixel, where a decoder that has its rows does not look; a JPEG strip that breaks off is filled with grey
    without a word. The other compressions have neither: what is missing there shows in the rows, or as zeros.
    """
    if read.compression == "deflate":
        for start, length in read.parts:
            max_bytes -= _inflated(data[start : start + length], max_bytes)
    if read.compression == "JPEG":
        for start, length in read.parts:
            _check_jpeg(read.tables, data[start : start + length])


def _inflated(part: bytes, max_bytes: int) -> int:
    """Bytes that a deflated part unfolds to."""
    inflating, waiting, unfolded = zlib.decompressobj(), part, 0
    try:
        while waiting and not inflating.eof:
            unfolded += len(inflating.decompress(waiting, _PIECE))
            waiting = inflating.unconsumed_tail
            if unfolded > max_bytes:
                raise BadTiff("damaged TIFF: a part of it unfolds to more than its pixels")
    except zlib.error as error:
        raise BadTiff(f"damaged TIFF: {error}") from None
    if not inflating.eof:
        raise BadTiff("damaged TIFF: a part of its pixels breaks off")
    return unfolded


def _check_jpeg(tables: bytes, part: bytes) -> None:
    whole = tables[:-_MARKER_BYTES] + part[_MARKER_BYTES:] if tables else part
    try:
        simplejpeg.decode_jpeg(whole, "GRAY")
    except ValueError as error:
        raise BadTiff(f"damaged TIFF: {error}") from None
