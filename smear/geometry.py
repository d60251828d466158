"""The one way from a picture file to what the network sees: (128, 128, 3) uint8 RGB.

Trainer, benchmark and worker all call `prepare`. Golden arrays pin it; changing a value it returns means a new
profile name and a new bundle. Source of the window: the W-Net paper, section 2.2 (360x361 DI-60 pictures, 80
pixels cut above, 81 below, 80 at each side, resized to 128x128).
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from smear.pictures import RGB, MisfitPicture, Scratch, decode


SIDE_PX: Final = 128

#: One process may decode in many threads; OpenCV's own pool would only get in their way.
cv2.setNumThreads(0)


_SCRATCH: Final = Scratch()  # `resize` copies out of it: nothing that leaves this module points into it


@dataclass(frozen=True)
class Profile:
    """A named geometry: which picture sizes it accepts and which window of them it keeps.

    `window_px` is the side of the centred square that is kept, its offsets floored; None keeps the whole picture.
    """

    name: str
    min_side_px: int
    max_side_px: int
    window_px: int | None

    def check_size(self, width_px: int, height_px: int) -> None:
        """Raise MisfitPicture unless both sides are within the profile's limits."""
        low, high = self.min_side_px, self.max_side_px
        if not (low <= width_px <= high and low <= height_px <= high):
            raise MisfitPicture(f"{width_px}x{height_px} pixels: profile {self.name} takes {low} to {high} a side")


PROFILES: Final[dict[str, Profile]] = {
    "di60": Profile("di60", min_side_px=340, max_side_px=400, window_px=200),
    "whole": Profile("whole", min_side_px=32, max_side_px=4000, window_px=None),
}


def profile(name: str) -> Profile:
    """The profile of that name; ValueError names those there are."""
    try:
        return PROFILES[name]
    except KeyError:
        raise ValueError(f"no geometry profile {name!r}; there are: {', '.join(PROFILES)}") from None


def crop(rgb: RGB, window_px: int) -> RGB:
    """The centred window, offsets floored: (window_px, window_px, 3), a view."""
    top_px, left_px = (rgb.shape[0] - window_px) // 2, (rgb.shape[1] - window_px) // 2
    return rgb[top_px : top_px + window_px, left_px : left_px + window_px]


def resize(rgb: RGB, side_px: int = SIDE_PX) -> RGB:
    """To (side_px, side_px, 3): halved by exact 2x2 means while twice too large, then OpenCV's bit-exact bilinear.

    Bit-exact on every processor, unlike area or plain bilinear interpolation, and free of aliasing.
    """
    while min(rgb.shape[:2]) >= 2 * side_px:
        height_px, width_px = rgb.shape[0] // 2, rgb.shape[1] // 2
        quads = rgb[: 2 * height_px, : 2 * width_px].reshape(height_px, 2, width_px, 2, 3)
        rgb = ((quads.sum(axis=(1, 3), dtype=np.uint16) + 2) // 4).astype(np.uint8)
    out: npt.NDArray[np.uint8] = cv2.resize(rgb, (side_px, side_px), interpolation=cv2.INTER_LINEAR_EXACT)  # type: ignore[assignment]
    return out


def fit(rgb: RGB, geometry: Profile, side_px: int = SIDE_PX) -> RGB:
    """A decoded picture of any size the profile accepts, as the network sees it: (side_px, side_px, 3) uint8."""
    geometry.check_size(rgb.shape[1], rgb.shape[0])
    return resize(rgb if geometry.window_px is None else crop(rgb, geometry.window_px), side_px)


def prepare(data: bytes, geometry: Profile, side_px: int = SIDE_PX) -> RGB:
    """Decode, crop and resize one picture file: its bytes -> (side_px, side_px, 3) uint8 RGB, 128 for W-Net.

    Raises UnreadablePicture or MisfitPicture, whose text is the reason to show.
    """
    return fit(decode(data, geometry.check_size, _SCRATCH), geometry, side_px)
