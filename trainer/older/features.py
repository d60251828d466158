"""A picture in a few hundred numbers, as was done before networks: its colour, its texture and its shape.

Of the whole picture: the nucleus is not segmented. What stands for its shape are the shapes of the picture's dark
regions at several levels, and the moments of its darkness.
"""

import math
from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from trainer.scores import Floats


Images = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.uint8]  # (H, W)

_COLOUR_BINS: Final = 4
_PERCENTILES: Final = (5, 25, 50, 75, 95)
#: Radii, in pixels at 128 x 128, of the local binary patterns (Ojala et al., 2002); eight neighbours at each.
_RADII_PX: Final = (1, 2, 4)
_UNIFORM: Final = 10
#: Grey levels and distances of the co-occurrence matrices (Haralick et al., 1973).
_GREY_LEVELS: Final = 16
_DISTANCES_PX: Final = (1, 2, 4, 8)
_LEVELS: Final = tuple(np.linspace(0.15, 0.85, 8))
_RINGS: Final = 8


def features(images: Images) -> Floats:
    """(N, H, H, 3) uint8 RGB -> (N, F) float32; F is the same for every picture of a size."""
    if not len(images):
        return np.empty((0, FEATURES), np.float32)
    return np.stack([_of_one(image) for image in images])


def _of_one(image: Images) -> Floats:
    found = np.concatenate([part(image) for part in _PARTS.values()])
    return np.nan_to_num(found.astype(np.float32), posinf=0, neginf=0)


def _colour(image: Images) -> npt.NDArray[np.float64]:
    """Mean, deviation, skewness and percentiles of the channels of three colour spaces, and a joint histogram."""
    out = []
    for code in (None, cv2.COLOR_RGB2HSV, cv2.COLOR_RGB2Lab):
        values = (image if code is None else cv2.cvtColor(image, code)).reshape(-1, 3).astype(np.float64)
        mean, deviation = values.mean(axis=0), values.std(axis=0)
        skewness = ((values - mean) ** 3).mean(axis=0) / np.maximum(deviation, 1e-6) ** 3
        out += [mean, deviation, skewness, np.percentile(values, _PERCENTILES, axis=0).ravel()]
    place = (image.reshape(-1, 3) // (256 // _COLOUR_BINS)).astype(np.int64) @ (_COLOUR_BINS**2, _COLOUR_BINS, 1)
    return np.concatenate([*out, np.bincount(place, minlength=_COLOUR_BINS**3) / len(place)])


def _texture(image: Images) -> npt.NDArray[np.float64]:
    """Local binary patterns, co-occurrence of grey levels, and the energy at several scales, of the green channel."""
    green = np.ascontiguousarray(image[..., 1])
    return np.concatenate([*(_binary_patterns(green, r) for r in _RADII_PX), _co_occurrence(green), _energies(green)])


def _shape(image: Images) -> npt.NDArray[np.float64]:
    """Area, edge and Euler number of what is darker than each of eight levels; Hu's moments; darkness by distance."""
    green = cv2.GaussianBlur(np.ascontiguousarray(image[..., 1]), (0, 0), 1.5).astype(np.float64)
    low, high = np.percentile(green, [1, 99])
    dark = np.clip((high - green) / max(high - low, 1.0), 0, 1)
    levels = [_functionals(dark > level) for level in _LEVELS]
    moments = cv2.moments(dark.astype(np.float32))
    hu = cv2.HuMoments(moments).ravel()
    return np.concatenate([*levels, np.sign(hu) * np.log10(np.abs(hu) + 1e-30), _rings(dark)])


def _functionals(region: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Minkowski's functionals of a region as shares of the picture: area, edge length, and parts less holes."""
    r = region.astype(np.int64)
    across, down = r[:, 1:] & r[:, :-1], r[1:] & r[:-1]
    squares = across[1:] & across[:-1]
    edge = 4 * r.sum() - 2 * (across.sum() + down.sum())
    euler = r.sum() - across.sum() - down.sum() + squares.sum()
    return np.array([r.mean(), edge / r.size, euler / math.sqrt(r.size)])


def _rings(dark: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Mean and deviation of the darkness in eight rings about its own centre of mass."""
    high, wide = dark.shape
    y, x = np.mgrid[:high, :wide]
    mass = max(float(dark.sum()), 1e-6)
    distance = np.hypot(y - (y * dark).sum() / mass, x - (x * dark).sum() / mass)
    ring = np.minimum((distance / (high / 2) * _RINGS).astype(np.int64), _RINGS - 1).ravel()
    count = np.maximum(np.bincount(ring, minlength=_RINGS), 1)
    mean = np.bincount(ring, dark.ravel(), _RINGS) / count
    square = np.bincount(ring, dark.ravel() ** 2, _RINGS) / count
    return np.concatenate([mean, np.sqrt(np.maximum(square - mean**2, 0))])


def _binary_patterns(grey: Plane, radius_px: int) -> npt.NDArray[np.float64]:
    """(10,) shares of the rotation-invariant uniform patterns of eight neighbours at that distance."""
    high, wide = grey.shape
    middle = grey[radius_px : high - radius_px, radius_px : wide - radius_px]
    bits = []
    for number in range(8):
        angle = math.pi * number / 4
        dy, dx = round(-radius_px * math.sin(angle)), round(radius_px * math.cos(angle))
        top, left = radius_px + dy, radius_px + dx
        bits.append(grey[top : top + middle.shape[0], left : left + middle.shape[1]] >= middle)
    ring = np.stack(bits).astype(np.int8)
    changes = np.abs(ring - np.roll(ring, 1, axis=0)).sum(axis=0)
    pattern = np.where(changes <= 2, ring.sum(axis=0), _UNIFORM - 1)
    return np.bincount(pattern.ravel(), minlength=_UNIFORM) / pattern.size


def _co_occurrence(grey: Plane) -> npt.NDArray[np.float64]:
    """Contrast, homogeneity, energy, correlation and entropy at four distances, each over four directions."""
    level = (grey // (256 // _GREY_LEVELS)).astype(np.int64)
    i, j = np.mgrid[:_GREY_LEVELS, :_GREY_LEVELS]
    out = []
    for d in _DISTANCES_PX:
        joint = np.zeros(_GREY_LEVELS**2)
        for first, second in (
            (level[:, d:], level[:, :-d]), (level[d:], level[:-d]),
            (level[d:, d:], level[:-d, :-d]), (level[d:, :-d], level[:-d, d:]),
        ):  # fmt: skip
            joint += np.bincount((first * _GREY_LEVELS + second).ravel(), minlength=_GREY_LEVELS**2)
        p = joint.reshape(_GREY_LEVELS, _GREY_LEVELS)
        p = (p + p.T) / (2 * p.sum())
        mean = (i * p).sum()
        variance = max(float(((i - mean) ** 2 * p).sum()), 1e-9)
        correlation = ((i - mean) * (j - mean) * p).sum() / variance
        entropy = -(p[p > 0] * np.log(p[p > 0])).sum()
        out += [((i - j) ** 2 * p).sum(), (p / (1 + (i - j) ** 2)).sum(), (p**2).sum(), correlation, entropy]
    return np.array(out)


def _energies(grey: Plane) -> npt.NDArray[np.float64]:
    """Mean and deviation of the gradient and of the absolute Laplacian at four scales, each half of the one before."""
    out = []
    for _ in range(4):
        plane = grey.astype(np.float32)
        gradient = np.hypot(cv2.Sobel(plane, cv2.CV_32F, 1, 0), cv2.Sobel(plane, cv2.CV_32F, 0, 1))
        curvature = np.abs(cv2.Laplacian(plane, cv2.CV_32F))
        out += [gradient.mean(), gradient.std(), curvature.mean(), curvature.std()]
        grey = np.asarray(cv2.pyrDown(grey), np.uint8)
    return np.array(out, np.float64)


_PARTS: Final[dict[str, Callable[[Images], npt.NDArray[np.float64]]]] = {
    "colour": _colour,
    "texture": _texture,
    "shape": _shape,
}
#: How many numbers each part gives, in order.
COUNTS: Final = {
    "colour": 3 * 3 * (3 + len(_PERCENTILES)) + _COLOUR_BINS**3,
    "texture": _UNIFORM * len(_RADII_PX) + 5 * len(_DISTANCES_PX) + 4 * 4,
    "shape": 3 * len(_LEVELS) + 7 + 2 * _RINGS,
}
FEATURES: Final = sum(COUNTS.values())
