"""Files made by hand to do harm, or simply wrong: each laid down under a name that says what it is."""

import io
import os
import socket
import stat
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from PIL import Image


LayDown = Callable[[Path, bytes], None]  # (the file to be, a good JPEG)


def _encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def _picture(mode: str = "RGB", size: tuple[int, int] = (360, 361)) -> Image.Image:
    return Image.new(mode, size, {"1": 1, "L": 9, "RGB": (9, 8, 7), "CMYK": (1, 2, 3, 4), "I;16": 900}.get(mode, 0))


def _png(width_px: int, height_px: int, data: bytes, depth: int = 8, colours: int = 2) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width_px, height_px, depth, colours, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def _bmp(width_px: int, height_px: int, bits: int = 24, body: bytes = b"\x07" * 4096) -> bytes:
    size = 54 + len(body)
    head = struct.pack("<2sIHHI", b"BM", size & 0xFFFFFFFF, 0, 0, 54)
    return head + struct.pack("<IiiHHIIiiII", 40, width_px, height_px, 1, bits, 0, 0, 0, 0, 0, 0) + body


def _with_exif(jpeg: bytes, size: int) -> bytes:
    segments = b"".join(b"\xff\xe1" + struct.pack(">H", 65_535) + b"Exif\0\0" + b"\1" * 65_527 for _ in range(size))
    return jpeg[:2] + segments + jpeg[2:]


def _resized(jpeg: bytes, width_px: int, height_px: int) -> bytes:
    """The JPEG's frame header says another size than its data have."""
    at = next(i for i in range(2, len(jpeg)) if jpeg[i] == 0xFF and jpeg[i + 1] in {0xC0, 0xC2})
    return jpeg[: at + 5] + struct.pack(">HH", height_px, width_px) + jpeg[at + 9 :]


def _bytes(make: Callable[[bytes], bytes]) -> LayDown:
    def lay_down(path: Path, good: bytes) -> None:
        path.write_bytes(make(good))

    return lay_down


def _sparse(path: Path, good: bytes) -> None:
    with path.open("wb") as out:
        out.write(good)
        out.truncate(3 * 2**30)


def _unreadable(path: Path, good: bytes) -> None:
    path.write_bytes(good + b"\0\0")
    path.chmod(0)


def _socket(path: Path, good: bytes) -> None:
    # A socket's path may have 107 bytes: bound by its name in its own folder.
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(path.parent)
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.fchdir(here)
        os.close(here)


def _device(path: Path, good: bytes) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))  # /dev/zero: it never ends
    except PermissionError:
        os.mkfifo(path)


_RAW: Final = b"\0" + b"\x80" * (360 * 3)

#: name -> how it is laid down. Every one must be recorded with a reason, and none classified.
HOSTILE: Final[dict[str, LayDown]] = {
    "empty.jpg": _bytes(lambda _: b""),
    "one-byte.jpg": _bytes(lambda _: b"\xff"),
    "only-a-start.jpg": _bytes(lambda _: b"\xff\xd8\xff"),
    "start-and-end.jpg": _bytes(lambda _: b"\xff\xd8\xff\xd9"),
    "zeros.jpg": _bytes(lambda good: b"\0" * len(good)),
    "zero-tail.jpg": _bytes(lambda good: good[: len(good) // 2].ljust(len(good), b"\0")),
    "cut-short.jpg": _bytes(lambda good: good[: len(good) * 2 // 3]),
    "no-head.jpg": _bytes(lambda good: good[200:]),
    "text.jpg": _bytes(lambda _: b"This is no picture.\n" * 200),
    "page.png": _bytes(lambda _: b"<html><script>alert(1)</script></html>"),
    "vector.jpg": _bytes(lambda _: b'<svg xmlns="http://www.w3.org/2000/svg" width="360" height="361"/>'),
    "gif.jpg": _bytes(lambda _: _encoded(_picture().convert("P"), "GIF")),
    "webp.jpg": _bytes(lambda _: _encoded(_picture(), "WEBP")),
    "icon.jpg": _bytes(lambda _: _encoded(_picture(size=(64, 64)), "ICO")),
    "postscript.jpg": _bytes(lambda _: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 360 361\n(/etc/passwd) run\n"),
    "pdf.jpg": _bytes(lambda _: b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n"),
    "zip.png": _bytes(lambda _: b"PK\x03\x04" + b"\0" * 500),
    "pickle.jpg": _bytes(lambda _: b"\x80\x04\x95" + b"cos\nsystem\n(S'touch /tmp/pwned'\ntR."),
    "cmyk.jpg": _bytes(lambda _: _encoded(_picture("CMYK"), "JPEG")),
    "grey.jpg": _bytes(lambda _: _encoded(_picture("L"), "JPEG")),
    "grey.png": _bytes(lambda _: _encoded(_picture("L"), "PNG")),
    "one-bit.png": _bytes(lambda _: _encoded(_picture("1"), "PNG")),
    "sixteen-bit-grey.png": _bytes(lambda _: _encoded(_picture("I;16"), "PNG")),
    "sixteen-bit.png": _bytes(lambda _: _png(360, 361, zlib.compress((b"\0" + b"\x80" * 2160) * 361), depth=16)),
    "see-through.png": _bytes(lambda _: _encoded(Image.new("RGBA", (360, 361), (9, 8, 7, 100)), "PNG")),
    "small.jpg": _bytes(lambda _: _encoded(_picture(size=(64, 64)), "JPEG")),
    "large.jpg": _bytes(lambda _: _encoded(_picture(size=(1920, 1080)), "JPEG")),
    "line.png": _bytes(lambda _: _encoded(_picture(size=(100_000, 1)), "PNG")),
    "bomb.png": _bytes(lambda _: _png(50_000, 50_000, zlib.compress(b"\0" * 20_000_000, 9))),
    "bomb-behind-a-small-head.png": _bytes(lambda _: _png(360, 361, zlib.compress(b"\0" * 50_000_000, 9))[:-12]),
    "bomb.jpg": _bytes(lambda good: _resized(good, 65_500, 65_500)),
    "no-width.jpg": _bytes(lambda good: _resized(good, 0, 361)),
    "wrong-checksum.png": _bytes(lambda _: _png(360, 361, zlib.compress(_RAW * 361)).replace(b"IDAT", b"IDAU", 1)),
    "cut-short.png": _bytes(lambda _: _png(360, 361, zlib.compress(_RAW * 361))[:-20]),
    "rows-missing.png": _bytes(lambda _: _png(360, 361, zlib.compress(_RAW * 100))),
    "no-zlib.png": _bytes(lambda _: _png(360, 361, b"\1" * 900)),
    "bomb.bmp": _bytes(lambda _: _bmp(2**30, 2**30)),
    "cut-short.bmp": _bytes(lambda _: _bmp(360, 361)),
    "negative-width.bmp": _bytes(lambda _: _bmp(-360, 361, body=b"\x07" * (360 * 3 * 361))[:5000]),
    "zero-tail.bmp": _bytes(lambda _: _bmp(360, 361, body=b"\x07" * 200_000 + b"\0" * (360 * 3 * 361 - 200_000))),
    "odd-depth.bmp": _bytes(lambda _: _bmp(360, 361, bits=13, body=b"\x07" * (360 * 3 * 361))),
    "head-only.bmp": _bytes(lambda _: b"BM" + b"\xff" * 12),
    "endless-directory.tif": _bytes(lambda _: b"II*\0" + struct.pack("<IHHHIII", 8, 1, 256, 3, 1, 360, 8)),
    "bomb.tif": _bytes(
        lambda _: b"II*\0" + struct.pack("<IH", 8, 2) + struct.pack("<HHIIHHII", 256, 4, 1, 2**31, 257, 4, 1, 2**31)
    ),
    "float.tif": _bytes(lambda _: _encoded(_picture("F"), "TIFF")),
    "huge-exif-cut.jpg": _bytes(lambda good: _with_exif(good, 40)[: 40 * 65_000]),
    "twenty-megabytes.jpg": _bytes(lambda good: _with_exif(good, 330)),
    "sparse-three-gigabytes.jpg": _sparse,
    "fifo.jpg": lambda path, _: os.mkfifo(path),
    "socket.jpg": _socket,
    "device.jpg": _device,
    "link-out.jpg": lambda path, _: path.symlink_to("/etc/passwd"),
    "link-up.jpg": lambda path, _: path.symlink_to("../../../../../etc/hostname"),
    "link-to-itself.jpg": lambda path, _: path.symlink_to(path.name),
    "link-to-nothing.jpg": lambda path, _: path.symlink_to("nowhere.jpg"),
    "link-to-a-folder.jpg": lambda path, _: path.symlink_to("/"),
    "n" * 251 + ".jpg": _bytes(lambda _: b"the longest name there is"),
}
if os.getuid() != 0:  # nothing is unreadable to root
    HOSTILE["unreadable.jpg"] = _unreadable

#: Strange, but right: these are classified like their neighbours.
HARMLESS: Final[dict[str, LayDown]] = {
    "huge-exif.jpg": _bytes(lambda good: _with_exif(good, 40)),
    "padded.jpg": _bytes(lambda good: good + b"\0" * 5000),
    "png-named-jpg.jpg": _bytes(lambda good: _as(good, "PNG")),
    "jpeg-named-bmp.bmp": _bytes(lambda good: good + b"\0" * 7),
    "good.bmp": _bytes(lambda good: _as(good, "BMP")),
    "progressive.jpg": _bytes(lambda good: _as(good, "JPEG", quality=95, progressive=True)),
}


def _as(jpeg: bytes, kind: str, **options: Any) -> bytes:
    with Image.open(io.BytesIO(jpeg)) as picture:
        return _encoded(picture, kind, **options)
