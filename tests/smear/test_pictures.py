"""Every kind of refusal, and that only named refusals ever come out."""

import io
import random
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from smear.geometry import PROFILES, prepare
from smear.pictures import MAX_BYTES, MisfitPicture, UnreadablePicture, decode, ends


def encode(picture, kind, **options):
    into = io.BytesIO()
    picture.save(into, kind, **options)
    return into.getvalue()


@pytest.fixture(scope="session")
def jpeg(sample_pictures):
    return sample_pictures[0].read_bytes()


@pytest.fixture(scope="session")
def rgb(jpeg):
    return decode(jpeg)


@pytest.fixture(scope="session")
def picture(rgb):
    return Image.fromarray(rgb)


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def header(width_px, height_px, depth=8):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width_px, height_px, depth, 2, 0, 0, 0))


SIGNATURE = b"\x89PNG\r\n\x1a\n"


def reason_of(data, geometry="di60"):
    with pytest.raises(UnreadablePicture) as refused:
        prepare(data, PROFILES[geometry])
    return str(refused.value)


# --- what is accepted ----------------------------------------------------------------------------------------------


def test_a_jpeg_is_decoded_with_the_accurate_dct_as_pillow_does(jpeg, rgb):
    with Image.open(io.BytesIO(jpeg)) as reference:
        assert np.array_equal(rgb, np.asarray(reference))
    assert (rgb.dtype, rgb.shape) == (np.uint8, (363, 360, 3))


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_lossless_copies_hold_the_very_same_values(picture, rgb, kind):
    assert np.array_equal(decode(encode(picture, kind)), rgb)


def test_an_opaque_alpha_channel_is_dropped(picture, rgb):
    assert np.array_equal(decode(encode(picture.convert("RGBA"), "PNG")), rgb)


def test_a_palette_is_unfolded_to_its_colours(picture):
    palette = picture.convert("P", palette=Image.Palette.ADAPTIVE)
    for kind in ("PNG", "BMP"):
        assert np.array_equal(decode(encode(palette, kind)), np.asarray(palette.convert("RGB")))


def test_a_bmp_stored_from_the_top_down_is_read(rgb):
    height_px, width_px = rgb.shape[:2]
    rows = b"".join(row[:, ::-1].tobytes() for row in rgb)
    size = 54 + len(rows)
    data = b"BM" + struct.pack("<IHHI", size, 0, 0, 54)
    data += struct.pack("<IiiHHIIiiII", 40, width_px, -height_px, 1, 24, 0, len(rows), 0, 0, 0, 0) + rows
    assert np.array_equal(decode(data), rgb)


def test_a_progressive_jpeg_is_read(picture):
    assert decode(encode(picture, "JPEG", progressive=True)).shape == (363, 360, 3)


def test_what_a_picture_is_is_told_from_its_bytes_not_its_name(picture, rgb, tmp_path):
    file = tmp_path / "png-in-disguise.jpg"
    file.write_bytes(encode(picture, "PNG"))
    assert np.array_equal(decode(file.read_bytes()), rgb)


def test_padding_behind_the_end_marker_is_no_truncation(jpeg, rgb):
    assert ends(jpeg + bytes(512))
    assert np.array_equal(decode(jpeg + bytes(512)), rgb)


# --- what is refused, and how --------------------------------------------------------------------------------------


def test_an_empty_file_is_named(jpeg):
    assert reason_of(b"") == "empty file"
    assert not ends(b"")


def test_a_file_of_zeros_is_named():
    assert reason_of(bytes(20_000)) == "file of zeros: allocated but never written"


@pytest.mark.parametrize("data", [b"hello, world", b"%PDF-1.7 ...", b"GIF89a" + bytes(100), b"II+\0" + b"x" * 99])
def test_what_is_no_picture_is_named(data):
    assert reason_of(data) == "not a JPEG, PNG, BMP or TIFF picture"
    assert ends(data)  # nothing to wait for


def test_a_file_of_too_many_bytes_is_not_decoded(jpeg):
    assert reason_of(jpeg + bytes(MAX_BYTES)) == "file of 16 MB, at most 16 MB are read"


def test_a_cmyk_jpeg_is_refused(picture):
    assert reason_of(encode(picture.convert("CMYK"), "JPEG")) == "CMYK JPEG: no camera colours"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
def test_a_grey_picture_is_refused(picture, kind):
    assert "the stain's colour is missing" in reason_of(encode(picture.convert("L"), kind))


def test_sixteen_bits_a_channel_are_refused(rgb):
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in rgb)
    data = SIGNATURE + header(360, 363, 16) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert reason_of(data) == "16 bits a channel: 8 are expected"


@pytest.mark.parametrize("mode", ["RGBA", "PA"])
def test_a_see_through_picture_is_refused(picture, mode):
    holed = picture.convert("RGBA")
    holed.putpixel((180, 180), (255, 255, 255, 0))
    data = encode(holed if mode == "RGBA" else holed.quantize(64), "PNG")
    assert reason_of(data) == "see-through picture: part of the cell is missing"


@pytest.mark.parametrize("size", [(339, 361), (361, 401), (1000, 1000), (32, 32)])
def test_a_picture_of_another_size_is_a_misfit_named_with_its_size(size):
    data = encode(Image.new("RGB", size, (9, 9, 9)), "PNG")
    with pytest.raises(MisfitPicture, match=rf"^{size[0]}x{size[1]} pixels: profile di60 takes 340 to 400 a side$"):
        prepare(data, PROFILES["di60"])


def test_a_misfit_is_found_before_its_pixels_are_decoded(jpeg):
    broken = encode(Image.new("RGB", (500, 500)), "JPEG")[:-200]
    with pytest.raises(MisfitPicture):
        prepare(broken, PROFILES["di60"])


# --- bombs: a small file that unfolds to gigabytes -----------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        SIGNATURE + header(30_000, 30_000) + chunk(b"IDAT", b"") + chunk(b"IEND", b""),
        b"BM" + struct.pack("<IHHIIii", 54, 0, 0, 54, 40, 30_000, 30_000) + bytes(28),
        b"BM" + struct.pack("<IHHIIii", 54, 0, 0, 54, 40, 30_000, -30_000) + bytes(28),
    ],
    ids=["png", "bmp", "bmp-top-down"],
)
def test_a_bomb_is_refused_by_its_header(data):
    assert reason_of(data, "whole") == "30000x30000 pixels, at most 16 million are decoded"


def test_a_jpeg_bomb_is_refused_by_its_header(jpeg):
    start = jpeg.index(b"\xff\xc0")
    bomb = jpeg[: start + 5] + struct.pack(">HH", 60_000, 60_000) + jpeg[start + 9 :]
    assert reason_of(bomb, "whole") == "60000x60000 pixels, at most 16 million are decoded"


@pytest.mark.parametrize(
    "decoy",
    [header(360, 361), chunk(b"tEXt", struct.pack(">II", 360, 361) + b"\0x")],
    ids=["second-header", "chunk-before-the-header"],
)
def test_a_png_cannot_hide_its_size_behind_a_smaller_one(decoy):
    side = 5000
    rows = zlib.compress(bytes((3 * side + 1) * side), 1)
    bomb = SIGNATURE + decoy + header(side, side) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    assert reason_of(bomb).startswith("damaged PNG: ")


# --- half there ----------------------------------------------------------------------------------------------------


def test_no_zero_tail_of_a_jpeg_is_ever_accepted(sample_pictures):
    tried = 0
    for number, path in enumerate(sample_pictures[:40]):
        data = path.read_bytes()
        for step in range(1, 13):
            cut = len(data) * step // 13 + number % 7
            half = data[:cut] + bytes(len(data) - cut)
            assert not ends(half)
            assert reason_of(half).startswith(("truncated JPEG", "damaged JPEG"))
            tried += 1
    assert tried == 480


def test_of_a_thousand_zero_tails_of_a_larger_set_none_is_accepted_and_every_whole_picture_is(larger_sets):
    chance = random.Random(1)
    pictures = sorted(larger_sets.glob("pbc/*/*.jpg"))[::11]
    tried = 0
    for path in pictures:
        data = path.read_bytes()
        assert prepare(data, PROFILES["di60"]).shape == (128, 128, 3)
        for _ in range(2):
            cut = chance.randrange(3, len(data) - 1)
            assert reason_of(data[:cut] + bytes(len(data) - cut))
            tried += 1
    assert tried > 1000


def test_cut_cells_of_another_camera_fit_the_profile_for_whole_pictures(larger_sets):
    pictures = sorted(larger_sets.glob("chula/*/*.png"))[::10]
    assert len(pictures) > 40
    for path in pictures:
        assert prepare(path.read_bytes(), PROFILES["whole"]).shape == (128, 128, 3)


@pytest.mark.parametrize("last", range(1, 12))
def test_not_even_a_few_missing_bytes_at_the_end_go_unnoticed(jpeg, picture, last):
    for data in (jpeg, encode(picture, "PNG"), encode(picture, "BMP")):
        assert not ends(data[:-last])
        assert "truncated" in reason_of(data[:-last])
    for data in (jpeg, encode(picture, "PNG")):
        assert not ends(data[:-last] + bytes(last))


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_no_zero_tail_of_a_lossless_picture_is_accepted(picture, kind):
    data = encode(picture, kind)
    for per_cent in range(1, 99):
        cut = len(data) * per_cent // 100
        half = data[:cut] + bytes(len(data) - cut)
        assert not ends(half)
        assert reason_of(half).startswith(("truncated", "damaged"))


def test_a_hole_of_zeros_in_the_middle_of_a_jpeg_is_noticed(sample_pictures):
    # Written out of order: the end is there, a block before it is not.
    chance = random.Random(5)
    for path in sample_pictures[:60]:
        data = path.read_bytes()
        at = chance.randrange(len(data) // 3, len(data) - 2000)
        assert reason_of(data[:at] + bytes(1024) + data[at + 1024 :]).startswith("damaged JPEG: ")


def test_a_page_that_never_came_is_noticed_in_a_bmp(picture):
    data = encode(picture, "BMP")
    for at in range(54, len(data) - 8192, 20_000):
        half = data[:at] + bytes(4096) + data[at + 4096 :]
        assert not ends(half)
        assert reason_of(half) == "truncated BMP: its end, or a part of it, is missing"


def test_a_wide_background_in_a_palette_is_no_page_that_never_came():
    plain = Image.new("P", (360, 361), 0)
    plain.putpalette([200, 180, 190, 90, 40, 120])
    plain.paste(1, (0, 0, 360, 160))
    for kind in ("BMP", "TIFF"):
        data = encode(plain, kind)
        whole = data[:-2000] + b"\1" * 2000  # rows of the other colour at either end
        assert bytes(4096) in whole
        assert ends(whole)
        assert decode(whole).shape == (361, 360, 3)


def test_one_flipped_bit_in_a_png_is_noticed(picture):
    data = encode(picture, "PNG")
    chance = random.Random(5)
    for _ in range(300):
        at = chance.randrange(8, len(data) - 12)
        assert reason_of(data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :], "whole")


def test_a_bmp_shorter_than_its_header_says_is_named(picture):
    data = encode(picture, "BMP")
    assert reason_of(data[: len(data) // 2]) == "truncated BMP: its end, or a part of it, is missing"
    assert reason_of(data[:10]).startswith("damaged BMP: ")


# --- fuzz ----------------------------------------------------------------------------------------------------------


def mutated(data, chance):
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at = chance.randrange(len(out)) if chance.random() < 0.5 else chance.randrange(min(len(out), 160))
        match chance.randrange(5):
            case 0:
                out[at] ^= 1 << chance.randrange(8)
            case 1:
                out[at : at + 4] = chance.choice((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"\x80\0\0\0"))
            case 2:
                del out[at : at + chance.randrange(1, 60)]
            case 3:
                out[at:at] = chance.randbytes(chance.randrange(1, 40))
            case 4:
                source = chance.randrange(len(out))
                out[at : at + 32] = out[source : source + 32]
        if len(out) < 20:
            break
    return bytes(out)


@pytest.mark.parametrize("kind", ["jpeg", "progressive", "png", "palette-png", "alpha-png", "bmp", "palette-bmp"])
def test_only_named_refusals_ever_come_out_of_mutated_files(picture, jpeg, kind):
    small = picture.resize((90, 90))
    seed = {
        "jpeg": jpeg,
        "progressive": encode(picture, "JPEG", progressive=True),
        "png": encode(small, "PNG"),
        "palette-png": encode(small.convert("P", palette=Image.Palette.ADAPTIVE), "PNG", transparency=3),
        "alpha-png": encode(small.convert("RGBA"), "PNG"),
        "bmp": encode(small, "BMP"),
        "palette-bmp": encode(small.convert("P", palette=Image.Palette.ADAPTIVE), "BMP"),
    }[kind]
    chance = random.Random(kind)
    reasons = []
    for _ in range(200):
        try:
            answer = prepare(mutated(seed, chance), PROFILES["whole"])
        except (UnreadablePicture, MisfitPicture) as error:
            reasons.append(str(error))
        else:
            assert (answer.shape, answer.dtype) == ((128, 128, 3), np.uint8)
    assert len(reasons) > 50
    assert all(reason.isprintable() and 5 < len(reason) < 300 for reason in reasons)


def rows_of_png(rgb, rows, interlaced=False):
    """A PNG of this picture in good order, whose stream of pixels ends after so many of its rows."""
    height_px, width_px, _ = rgb.shape
    header = struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, int(interlaced))
    passes = (
        [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
        if interlaced
        else [(0, 0, 1, 1)]
    )
    lines = [line for x, y, right, down in passes for line in rgb[y::down, x::right] if line.size]
    pixels = zlib.compress(b"".join(b"\0" + line.tobytes() for line in lines[:rows]))
    # In several pieces, as writers do it.
    pieces = b"".join(chunk(b"IDAT", pixels[at : at + 8192]) for at in range(0, len(pixels), 8192))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pieces + chunk(b"IEND", b"")


@pytest.mark.parametrize("interlaced", [False, True])
def test_a_png_whose_stream_ends_early_in_good_order_is_refused_and_a_whole_one_is_not(rgb, interlaced):
    whole = rows_of_png(rgb, None, interlaced)
    np.testing.assert_array_equal(decode(whole), rgb)
    for rows in (0, 1, 100, len(rgb) - 1):
        with pytest.raises(UnreadablePicture, match="part of its pixels is missing"):
            decode(rows_of_png(rgb, rows, interlaced))


@pytest.mark.parametrize(("width_px", "height_px"), [(1, 1), (3, 2), (5, 1), (1, 9), (8, 8)])
def test_the_smallest_interlaced_png_is_whole(rgb, width_px, height_px):
    small = np.ascontiguousarray(rgb[:height_px, :width_px])
    np.testing.assert_array_equal(decode(rows_of_png(small, None, interlaced=True)), small)


@pytest.mark.parametrize("mode", ["P", "RGB"])
def test_a_whole_png_of_each_kind_in_colour_is_taken(picture, mode):
    assert decode(encode(picture.convert(mode), "PNG")).shape == (picture.height, picture.width, 3)
