"""One random look at each training picture: orientation, scale, place, focus, and the colours of another laboratory."""

import functools
import math
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from smear.geometry import SIDE_PX
from trainer.colours import standardised
from trainer.recipes import Augmentation


Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

#: The eight dihedral views as (flipped, quarter turns).
VIEWS: Final = tuple((flipped, turns) for flipped in (False, True) for turns in range(4))
_TURNS: Final = (None, cv2.ROTATE_90_COUNTERCLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_CLOCKWISE)
#: Sigma of the least blur worth its time, pixels at 128 x 128.
_SHARPEST_PX: Final = 0.3
#: So many pictures of noise are drawn once and used again and again: a new one for each look took longer than all else.
_GRAINS: Final = 16
_CENTRE: Final = (SIDE_PX - 1) / 2
#: What splits a colour into its grey part and what lies across it, and what turns the latter: Rodrigues' rotation
#: about (1, 1, 1) / sqrt 3.
_GREY: Final = np.full((3, 3), 1 / 3)
_ACROSS: Final = np.eye(3) - _GREY
_TURN: Final = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)


def look(images: Images, how: Augmentation, rng: np.random.Generator) -> Floats:
    """(N, 128, 128, 3) uint8 -> (N, 128, 128, 3) float32, colours around 0 to 1 (not clipped).

    The scale of the values does not matter: the network standardises each picture. All that is random is drawn for
    the batch at once: what `best` does to 64 pictures takes 10 ms, a fortieth of the step.
    """
    n = len(images)
    views = rng.integers(len(VIEWS), size=n)
    warped = rng.random(n) < how.warped_share
    warps = _warps(n, how, rng)
    blurred = rng.random(n) < how.blurred_share
    blurs = rng.uniform(_SHARPEST_PX, how.blur_px, size=n) if how.blurred_share else np.zeros(n)
    levels = _levels(n, how, rng)
    colours = _colours(n, how, rng)
    # A stream of their own: what was trained before these were thought of is trained the same again.
    (later,) = rng.spawn(1)
    grains = later.uniform(0, how.noise, size=n).astype(np.float32)
    grain_of = later.integers(_GRAINS, size=n)
    in_standard_colours = later.random(n) < how.standardised_share
    out = np.empty(images.shape, np.float32)
    for i, seen in enumerate(out):
        image = view(images[i], int(views[i]))
        if warped[i]:
            side = (SIDE_PX, SIDE_PX)
            image = cv2.warpAffine(  # type: ignore[assignment]
                image, warps[i], side, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
            )
        if blurred[i]:
            image = cv2.GaussianBlur(image, (0, 0), float(blurs[i]))  # type: ignore[assignment]
        if in_standard_colours[i]:
            image = standardised(image)
        cv2.transform(cv2.LUT(image, levels[i]), colours[i], dst=seen)
        if blurred[i] and grains[i]:
            cv2.scaleAdd(_grain()[grain_of[i]], float(grains[i]), seen, dst=seen)
    return out


def view(image: Images, number: int) -> Images:
    """One of the eight dihedral views of (H, H, 3), number 0 the picture itself."""
    flipped, turns = VIEWS[number]
    if flipped:
        image = cv2.flip(image, 1)  # type: ignore[assignment]
    turn = _TURNS[turns]
    return image if turn is None else np.asarray(cv2.rotate(image, turn), np.uint8)


@functools.cache
def _grain() -> Floats:
    """(16, 128, 128, 3): noise of deviation 1."""
    return np.random.default_rng(0).standard_normal((_GRAINS, SIDE_PX, SIDE_PX, 3), np.float32)


def _warps(n: int, how: Augmentation, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """(N, 2, 3): turned by up to 45 degrees about the middle (the quarter turns do the rest), scaled and shifted."""
    scale = np.exp(rng.uniform(-how.scale, how.scale, size=n))
    angle = rng.uniform(-math.pi / 4, math.pi / 4, size=n)
    shift = rng.uniform(-how.shift_px, how.shift_px, size=(n, 2))
    across, along = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.stack([across, along, -along, across], axis=1).reshape(n, 2, 2)
    middle = np.full(2, _CENTRE)
    return np.concatenate([turn, (middle - turn @ middle + shift)[..., None]], axis=2)


def _levels(n: int, how: Augmentation, rng: np.random.Generator) -> Floats:
    """(N, 1, 256, 3): what becomes of each of the 256 values of a channel; gain, black level and stain density."""
    density = np.exp(rng.uniform(-how.stain, how.stain, size=(n, 1, 1, 3)))
    gain = rng.uniform(1 - how.gain, 1 + how.gain, size=(n, 1, 1, 3))
    black = rng.uniform(-how.black_level, how.black_level, size=(n, 1, 1, 3))
    levels = np.linspace(0, 1, 256, dtype=np.float32)[None, None, :, None]
    if how.stain:
        levels = levels ** density.astype(np.float32)
    return np.asarray(gain * levels + black, np.float32)


def _colours(n: int, how: Augmentation, rng: np.random.Generator) -> Floats:
    """(N, 3, 3): turns the hue about the grey axis and scales the saturation."""
    hue = rng.uniform(-how.hue, how.hue, size=(n, 1, 1))
    saturation = rng.uniform(1 - how.saturation, 1 + how.saturation, size=(n, 1, 1))
    return np.asarray(_GREY + saturation * (np.cos(hue) * _ACROSS + np.sin(hue) * _TURN), np.float32)
