"""The window of the paper, and golden arrays: what these tests pin, changes only under a new profile name.

`python tests/smear/test_geometry.py` writes the golden arrays anew.
"""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from smear import shipped
from smear.geometry import PROFILES, SIDE_PX, crop, fit, prepare, profile, resize
from smear.pictures import MisfitPicture, decode


GOLDEN = Path(__file__).parent / "golden" / "geometry.npz"


def answers() -> dict[str, np.ndarray]:
    """Name -> (128, 128, 3) uint8 of each case that is pinned."""
    pictures = {
        decode(p.read_bytes()).shape: p for p in sorted(shipped.folder("samples").glob("*/*.jpg"), reverse=True)
    }
    assert set(pictures) == {(363, 360, 3), (369, 366, 3)}
    small, larger = (path.read_bytes() for _, path in sorted(pictures.items()))
    tiled = np.tile(decode(small), (3, 3, 1))
    return {
        "di60_360x363": prepare(small, PROFILES["di60"]),
        "di60_366x369": prepare(larger, PROFILES["di60"]),
        "di60_360x361": fit(decode(small)[:361], PROFILES["di60"]),
        "whole_360x363": prepare(small, PROFILES["whole"]),
        "whole_200x200": fit(decode(small)[80:280, 80:280], PROFILES["whole"]),
        "whole_721x577_halved_twice": fit(np.ascontiguousarray(tiled[:577, :721]), PROFILES["whole"]),
        "whole_1080x1089_halved_thrice": fit(tiled, PROFILES["whole"]),
    }


@pytest.mark.parametrize("name", answers())
def test_the_network_sees_to_the_bit_what_it_always_saw(name):
    with np.load(GOLDEN) as golden:
        answer = answers()[name]
        assert (answer.shape, answer.dtype) == ((SIDE_PX, SIDE_PX, 3), np.uint8)
        assert np.array_equal(answer, golden[name])


def test_every_golden_array_is_compared():
    with np.load(GOLDEN) as golden:
        assert set(golden) == set(answers())


def coordinates(height_px: int, width_px: int) -> np.ndarray:
    """A picture whose pixels say where they are: row and column modulo 256, and the carry of both."""
    rows, columns = np.mgrid[:height_px, :width_px]
    return np.stack([rows % 256, columns % 256, rows // 256 * 2 + columns // 256], axis=2).astype(np.uint8)


def test_the_window_is_the_papers():
    # Section 2.2: of 360 wide x 361 high, 80 above, 81 below, 80 left, 80 right are cut away.
    picture = coordinates(361, 360)
    window = crop(picture, PROFILES["di60"].window_px)
    assert np.array_equal(window, picture[80:280, 80:280])
    assert window.shape == (361 - 80 - 81, 360 - 80 - 80, 3)


@pytest.mark.parametrize(("size", "top", "left"), [((363, 360), 81, 80), ((369, 366), 84, 83), ((340, 400), 70, 100)])
def test_other_sizes_are_cut_about_their_centre_with_floored_offsets(size, top, left):
    picture = coordinates(*size)
    assert np.array_equal(crop(picture, 200), picture[top : top + 200, left : left + 200])


def bilinear(picture: np.ndarray) -> np.ndarray:
    """Half-pixel-centred bilinear interpolation in float64, written out: (H, W, 3) -> (128, 128, 3)."""
    out = picture.astype(np.float64)
    for axis in (0, 1):
        size = out.shape[axis]
        at = np.clip((np.arange(SIDE_PX) + 0.5) * size / SIDE_PX - 0.5, 0, size - 1)
        low = np.minimum(at.astype(int), size - 2)
        part = np.expand_dims(at - low, tuple(a for a in range(3) if a != axis))
        out = out.take(low, axis) * (1 - part) + out.take(low + 1, axis) * part
    return out


@pytest.mark.parametrize("size", [(200, 200), (255, 255), (129, 300), (100, 90), (128, 128)])
def test_resizing_is_bilinear_interpolation_to_half_a_grey_level_or_so(size):
    picture = np.random.default_rng(3).integers(0, 256, (*size, 3)).astype(np.uint8)
    assert np.abs(resize(picture).astype(float) - bilinear(picture)).max() <= 0.51


def test_a_large_picture_is_halved_by_exact_means_first():
    picture = np.random.default_rng(3).integers(0, 256, (513, 512, 3)).astype(np.uint8)
    quads = picture[:512].reshape(256, 2, 256, 2, 3).astype(np.float64)
    half = np.floor(quads.mean(axis=(1, 3)) + 0.5).astype(np.uint8)
    quarter = np.floor(half.reshape(128, 2, 128, 2, 3).mean(axis=(1, 3)) + 0.5).astype(np.uint8)
    assert np.array_equal(resize(picture), quarter)


def test_fine_stripes_become_grey_and_no_new_pattern():
    stripes = np.zeros((1024, 1024, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.array_equal(np.unique(resize(stripes)), [128])


@pytest.mark.parametrize("side", [340, 400])
def test_di60_takes_its_limits(side):
    assert fit(coordinates(side, side), PROFILES["di60"]).shape == (SIDE_PX, SIDE_PX, 3)


@pytest.mark.parametrize(("name", "size"), [("di60", (339, 360)), ("di60", (360, 401)), ("whole", (31, 99))])
def test_a_misfit_names_its_width_and_height_in_that_order(name, size):
    with pytest.raises(MisfitPicture, match=f"^{size[1]}x{size[0]} pixels: profile {name} takes"):
        fit(coordinates(*size), PROFILES[name])


def test_the_same_answer_comes_from_every_format(sample_pictures):
    data = sample_pictures[0].read_bytes()
    for kind in ("PNG", "BMP"):
        into = io.BytesIO()
        Image.fromarray(decode(data)).save(into, kind)
        assert np.array_equal(prepare(into.getvalue(), PROFILES["di60"]), prepare(data, PROFILES["di60"]))


@pytest.mark.parametrize("side", [128, 200, 256, 300, 700])
def test_an_answer_stays_what_it_was_while_others_are_prepared(sample_pictures, side):
    # Decoding reuses its memory; nothing that was given out may lie in it.
    def jpeg(number):
        into = io.BytesIO()
        with Image.open(sample_pictures[number]) as picture:
            picture.resize((side, side)).save(into, "JPEG")
        return into.getvalue()

    data = [jpeg(number) for number in range(4)]
    kept = [prepare(one, PROFILES["whole"]) for one in data]
    with ThreadPoolExecutor(4) as pool:
        again = list(pool.map(lambda one: prepare(one, PROFILES["whole"]), data * 20))
    alone = [fit(decode(one), PROFILES["whole"]) for one in data]
    assert all(np.array_equal(one, other) for one, other in zip(kept, alone, strict=True))
    assert all(np.array_equal(one, other) for one, other in zip(again, alone * 20, strict=True))


def test_an_unknown_profile_is_refused_with_those_there_are():
    assert profile("di60") is PROFILES["di60"]
    with pytest.raises(ValueError, match=r"^no geometry profile 'square'; there are: di60, whole$"):
        profile("square")


def test_another_side_is_the_same_window_resized_by_the_same_way():
    rgb = np.random.default_rng(1).integers(0, 256, (361, 360, 3)).astype(np.uint8)
    window = crop(rgb, 200)
    assert fit(rgb, PROFILES["di60"], side_px=224).shape == (224, 224, 3)
    np.testing.assert_array_equal(fit(rgb, PROFILES["di60"], side_px=200), window)
    quads = window.reshape(100, 2, 100, 2, 3).sum(axis=(1, 3), dtype=np.uint16)
    np.testing.assert_array_equal(fit(rgb, PROFILES["di60"], side_px=100), (quads + 2) // 4)


if __name__ == "__main__":
    np.savez_compressed(GOLDEN, **answers())
