"""TIFF: one picture of eight bits a channel, there to its end; its directory is believed in nothing."""

import io
import random
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from smear import tiff
from smear.geometry import PROFILES, prepare
from smear.pictures import MAX_PIXELS, MisfitPicture, UnreadablePicture, decode, ends
from smear.tiff import BadTiff


KINDS = [None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"]


@pytest.fixture(scope="session")
def picture(sample_pictures):
    return Image.fromarray(decode(sample_pictures[0].read_bytes()))


def encode(picture, compression=None, **options):
    into = io.BytesIO()
    picture.save(into, "TIFF", compression=compression, **options)
    return into.getvalue()


def reason_of(data, geometry="di60"):
    with pytest.raises(UnreadablePicture) as refused:
        prepare(data, PROFILES[geometry])
    return str(refused.value)


def entry_at(data, tag):
    """Where a field's entry stands in the directory."""
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    return next(p for p in range(at + 2, at + 2 + 12 * count, 12) if struct.unpack_from("<H", data, p)[0] == tag)


def with_field(data, tag, value):
    """The same with one field of a single whole number changed."""
    at = entry_at(data, tag)
    return data[: at + 2] + struct.pack("<HII", 4, 1, value) + data[at + 12 :]


def test_the_reason_is_the_same_at_every_attempt_and_names_nothing_of_ours(picture):
    data = with_field(encode(picture), 277, 100)
    assert reason_of(data) == reason_of(data) == "damaged TIFF: its fields contradict each other"


@pytest.mark.parametrize("compression", KINDS[:4])
def test_a_lossless_copy_holds_the_very_same_values(picture, compression):
    data = encode(picture, compression)
    assert ends(data)
    assert np.array_equal(decode(data), np.asarray(picture))


def test_a_jpeg_inside_and_many_strips_are_read(picture):
    strips = {"strip_size": 1080}
    for data in (encode(picture, "jpeg"), encode(picture, "tiff_lzw", **strips), encode(picture, "packbits", **strips)):
        assert ends(data)
        assert np.abs(decode(data).astype(int) - np.asarray(picture)).mean() < 5


def test_what_makers_note_beside_the_pixels_is_kept_from_the_decoder(picture):
    data = encode(picture, tiffinfo={270: "a description", 305: "a maker", 315: "somebody"})
    read = tiff.read(data)
    with Image.open(io.BytesIO(read.plain)) as plain:
        assert not {270, 305, 315} & set(plain.tag_v2)
    assert (read.width_px, read.height_px) == picture.size
    assert np.array_equal(decode(data), np.asarray(picture))


@pytest.mark.parametrize("compression", KINDS)
def test_no_tail_that_is_missing_or_zero_is_accepted(picture, compression):
    data = encode(picture, compression)
    for per_cent in range(1, 99, 2):
        cut = len(data) * per_cent // 100
        for half in (data[:cut], data[:cut] + bytes(len(data) - cut)):
            assert not ends(half)
            assert "TIFF" in reason_of(half)


@pytest.mark.parametrize("compression", KINDS)
@pytest.mark.parametrize("strips", [{}, {"strip_size": 16 * 1080}])
def test_a_part_that_never_came_is_noticed_wherever_it_belongs(picture, compression, strips):
    data = encode(picture, compression, **strips)
    (directory,) = struct.unpack_from("<I", data, 4)
    pixels = range(700, directory if directory > len(data) // 2 else len(data))
    chance, block = random.Random(str(compression)), 4096 if compression is None else 600
    for _ in range(60):
        at = chance.randrange(pixels.start, pixels.stop - block)
        assert "TIFF" in reason_of(data[:at] + bytes(block) + data[at + block :])


@pytest.mark.parametrize("compression", ["tiff_adobe_deflate", "jpeg"])
def test_a_strip_that_breaks_off_is_refused_though_a_decoder_would_make_do_with_it(picture, compression):
    data = encode(picture, compression)
    read = tiff.read(data)
    start, length = max(read.parts, key=lambda part: part[1])
    for kept in (length // 4, length // 2, length * 9 // 10):
        # As of a writer that fills what it has no room for: no zeros, and for a JPEG even an end marker.
        filling = bytes(n % 251 + 1 for n in range(length - kept - 2)) + b"\xff\xd9"
        broken = data[: start + kept] + filling + data[start + length :]
        assert len(broken) == len(data)
        assert "damaged TIFF" in reason_of(broken)


def test_what_unfolds_to_more_than_a_picture_can_hold_is_refused_before_it_does(picture):
    strip = zlib.compress(bytes(200_000_000), 9)
    data = encode(picture, "tiff_adobe_deflate", strip_size=2**24)
    read = tiff.read(data)
    assert len(read.parts) == 1
    bomb = with_field(with_field(data, 273, len(data)), 279, len(strip)) + strip
    assert "unfolds to more than its pixels" in reason_of(bomb)


def test_strips_of_one_row_hide_no_zero_tail(picture):
    data = encode(picture, "packbits", strip_size=1080)
    starts, lengths = (
        struct.unpack_from(f"<{count}I", data, offset)
        for count, offset in (struct.unpack_from("<II", data, entry_at(data, tag) + 4) for tag in (273, 279))
    )
    assert len(starts) > 100
    end = starts[-1] + lengths[-1]
    for rows in (8, 20, 100):
        hole = starts[-rows]
        assert not ends(data[:hole] + bytes(end - hole) + data[end:])


@pytest.mark.parametrize(
    ("mode", "why"),
    [("L", "grey|colour"), ("CMYK", "colour"), ("I;16", "8 bits"), ("F", "8 bits"), ("1", "8 bits|colour|kind")],
)
def test_a_tiff_without_the_stains_colour_is_refused(picture, mode, why):
    other = Image.new("I;16", picture.size, 999) if mode == "I;16" else picture.convert("L").convert(mode)
    assert re.search(why, reason_of(encode(other)))


def test_several_pictures_in_one_file_are_refused(picture):
    into = io.BytesIO()
    picture.save(into, "TIFF", save_all=True, append_images=[picture])
    assert reason_of(into.getvalue()) == "several pictures in one TIFF"


def test_a_bomb_is_refused_by_its_directory_and_a_misfit_before_its_pixels(picture):
    data = with_field(with_field(encode(picture), 256, 60_000), 257, 60_000)
    assert str(MAX_PIXELS // 10**6) in reason_of(data, "whole")
    with pytest.raises(MisfitPicture, match="x9 pixels"):
        prepare(with_field(encode(picture), 257, 9), PROFILES["di60"])


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"II*\0", "its directory is missing"),
        (b"II*\0" + bytes(60), "its directory is not written"),
        (b"II*\0\x08\0\0\0" + b"\xff\xff" + bytes(12 * 65_535 + 4), "65535 entries"),
        (b"MM\0*\xff\xff\xff\xff" + bytes(60), "its directory is missing"),
    ],
)
def test_a_directory_that_cannot_be_is_refused(data, why):
    with pytest.raises(BadTiff, match=why):
        tiff.read(data)


@pytest.mark.parametrize(("tag", "value"), [(259, 34_712), (273, 0), (279, 0), (279, 2**32 - 1), (256, 0)])
def test_a_field_that_cannot_be_is_refused(picture, tag, value):
    assert "TIFF" in reason_of(with_field(encode(picture), tag, value))


@pytest.mark.parametrize("compression", KINDS)
def test_only_named_refusals_ever_come_out_of_mutated_files(picture, compression):
    seed = encode(picture.resize((90, 90)), compression)
    chance, reasons = random.Random(str(compression)), []
    (directory,) = struct.unpack_from("<I", seed, 4)
    for _ in range(300):
        out = bytearray(seed)
        for _ in range(chance.choice((1, 2, 4, 16))):
            near = chance.randrange(directory, min(directory + 200, len(out)))
            at = chance.choice((near, chance.randrange(len(out))))
            out[at : at + 4] = chance.choice((chance.randbytes(4), b"\xff" * 4, bytes(4), b"\x01\0\0\0"))
        try:
            answer = prepare(bytes(out), PROFILES["whole"])
        except (UnreadablePicture, MisfitPicture) as error:
            reasons.append(str(error))
        else:
            assert answer.shape == (128, 128, 3)
    assert len(reasons) > 50
    assert all(5 < len(reason) < 300 for reason in reasons)
