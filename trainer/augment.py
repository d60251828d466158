"""One random look at each training picture: orientation, scale, place, and the colours of another camera or stain."""

import math

import cv2
import numpy as np
import numpy.typing as npt

from smear.geometry import SIDE_PX
from trainer.recipes import Augmentation


Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def look(images: Images, how: Augmentation, rng: np.random.Generator) -> Floats:
    """(N, 128, 128, 3) uint8 -> (N, 128, 128, 3) float32, colours around 0 to 1 (not clipped).

    The scale of the values does not matter: the network standardises each picture.
    """
    out = np.empty(images.shape, np.float32)
    for image, seen in zip(images, out, strict=True):
        recoloured = cv2.LUT(_view(image, how, rng), _levels(how, rng))
        cv2.transform(recoloured, _turn_colours(how, rng), dst=seen)
    return out


def _view(image: Images, how: Augmentation, rng: np.random.Generator) -> Images:
    if rng.random() < 0.5:
        image = image[:, ::-1]
    image = np.ascontiguousarray(np.rot90(image, int(rng.integers(4))))
    if rng.random() >= how.warped_share:
        return image
    centre = (SIDE_PX - 1) / 2
    scale = math.exp(rng.uniform(-how.scale, how.scale))
    warp = cv2.getRotationMatrix2D((centre, centre), rng.uniform(-45, 45), scale)
    warp = np.column_stack([warp[:, :2], warp[:, 2] + rng.uniform(-how.shift_px, how.shift_px, size=2)])
    side = (SIDE_PX, SIDE_PX)
    warped = cv2.warpAffine(image, warp, side, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(warped, np.uint8)


def _levels(how: Augmentation, rng: np.random.Generator) -> Floats:
    """(1, 256, 3): what becomes of each of the 256 values of a channel; gain, black level and stain density."""
    levels = np.linspace(0, 1, 256)[:, None]
    density = np.exp(rng.uniform(-how.stain, how.stain, size=3))
    gain = rng.uniform(1 - how.gain, 1 + how.gain, size=3)
    black = rng.uniform(-how.black_level, how.black_level, size=3)
    return np.asarray((gain * levels**density + black)[None], np.float32)


def _turn_colours(how: Augmentation, rng: np.random.Generator) -> Floats:
    """(3, 3): turns the hue about the grey axis and scales the saturation."""
    hue = rng.uniform(-how.hue, how.hue)
    saturation = rng.uniform(1 - how.saturation, 1 + how.saturation)
    grey = np.full((3, 3), 1 / 3)
    # Rodrigues' rotation about (1, 1, 1) / sqrt 3, of which only the part across the axis is scaled.
    across = np.eye(3) - grey
    turn = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    return np.asarray(grey + saturation * (math.cos(hue) * across + math.sin(hue) * turn), np.float32)
