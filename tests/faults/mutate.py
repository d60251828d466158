"""Pictures spoilt in every way a disk, a network or an ill will spoils them. Seeded: a number names a mutation."""

import functools
import io
import random
import struct
from collections.abc import Callable
from typing import Final

from PIL import Image


Mutation = Callable[[bytes, random.Random], bytes]


@functools.cache
def as_format(jpeg: bytes, kind: str) -> bytes:
    """The same picture as JPEG, PNG, BMP or TIFF."""
    if kind == "JPEG":
        return jpeg
    out = io.BytesIO()
    with Image.open(io.BytesIO(jpeg)) as picture:
        picture.save(out, kind)
    return out.getvalue()


def flip_bits(data: bytes, dice: random.Random) -> bytes:
    """One to sixteen bits anywhere."""
    spoilt = bytearray(data)
    for _ in range(dice.randint(1, 16)):
        spoilt[dice.randrange(len(spoilt))] ^= 1 << dice.randrange(8)
    return bytes(spoilt)


def spoil_header(data: bytes, dice: random.Random) -> bytes:
    """Bytes of the first 700, where sizes, tables and offsets stand."""
    spoilt = bytearray(data)
    for _ in range(dice.randint(1, 8)):
        spoilt[dice.randrange(min(700, len(spoilt)))] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))
    return bytes(spoilt)


def cut_short(data: bytes, dice: random.Random) -> bytes:
    """The end is missing."""
    return data[: dice.randrange(len(data))]


def zero_tail(data: bytes, dice: random.Random) -> bytes:
    """From somewhere on nothing but zeros, at the full size: allocated ahead, never filled. At least a hundredth."""
    kept = dice.randrange(len(data) - len(data) // 100)
    return data[:kept] + b"\0" * (len(data) - kept)


def zero_block(data: bytes, dice: random.Random) -> bytes:
    """A block of 512 bytes or more never arrived."""
    start, size = dice.randrange(len(data)), 512 * dice.randint(1, 8)
    return data[:start] + b"\0" * min(size, len(data) - start) + data[start + size :]


def splice(data: bytes, dice: random.Random) -> bytes:
    """A piece of itself at another place."""
    a, b, size = dice.randrange(len(data)), dice.randrange(len(data)), dice.randint(1, 4096)
    return data[:a] + data[b : b + size] + data[a:]


def leave_out(data: bytes, dice: random.Random) -> bytes:
    """A piece is missing."""
    start = dice.randrange(len(data))
    return data[:start] + data[start + dice.randint(1, 2048) :]


def huge_numbers(data: bytes, dice: random.Random) -> bytes:
    """A 16- or 32-bit number of the header becomes as large as it can be, or negative."""
    spoilt = bytearray(data)
    at = dice.randrange(max(min(400, len(spoilt)) - 4, 1))
    size, number = dice.choice((("<H", 0xFFFF), (">H", 0xFFFF), ("<I", 0xFFFFFFFF), (">I", 0x7FFFFFFF), ("<i", -1)))
    spoilt[at : at + struct.calcsize(size)] = struct.pack(size, number)
    return bytes(spoilt)


def repeat_start(data: bytes, dice: random.Random) -> bytes:
    """The start again and again: headers within headers."""
    return data[: dice.randint(2, 800)] * dice.randint(2, 40) + data


MUTATIONS: Final[tuple[Mutation, ...]] = (
    flip_bits, spoil_header, cut_short, zero_tail, zero_block, splice, leave_out, huge_numbers, repeat_start,
)  # fmt: skip
KINDS: Final = ("JPEG", "BMP", "PNG", "TIFF")


def mutated(sources: list[bytes], number: int) -> tuple[str, str, bytes]:
    """(format, mutation, bytes) of the so-manieth spoilt picture; every fourth is spoilt twice."""
    dice = random.Random(number)
    kind, mutation = KINDS[number % len(KINDS)], MUTATIONS[number // len(KINDS) % len(MUTATIONS)]
    data = mutation(as_format(dice.choice(sources), kind), dice)
    if number % 16 > 11 and data:
        data = dice.choice(MUTATIONS)(data, dice)
    return kind, mutation.__name__, data
