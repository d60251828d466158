"""Another laboratory's colours brought to those that a network knows: each channel's mean and deviation, per picture.

Reinhard et al. (2001), in RGB rather than l-alpha-beta: what differs most is the camera's white balance and exposure.
"""

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt


Images = npt.NDArray[np.uint8]

#: Mean and standard deviation of red, green and blue within a picture, 0 to 255, averaged over the 5,950 of `pbc`
#: (profile `di60`).
_MEAN: Final = np.array([199.3, 163.8, 176.2], np.float32)
_DEVIATION: Final = np.array([57.7, 66.5, 23.8], np.float32)


def standardised(image: Images) -> Images:
    """(H, W, 3) uint8 -> the same picture in the colours of `pbc`; a channel of one value becomes the mean."""
    mean, deviation = (value.ravel().astype(np.float32) for value in cv2.meanStdDev(image))
    scale = np.where(deviation > 0, _DEVIATION / np.maximum(deviation, 1e-6), 0)
    levels = (np.arange(256, dtype=np.float32)[:, None] - mean) * scale + _MEAN
    return np.asarray(cv2.LUT(image, levels.clip(0, 255).round().astype(np.uint8)[None]), np.uint8)


def all_standardised(images: Images) -> Images:
    """(N, H, W, 3): each picture by itself."""
    return np.stack([standardised(image) for image in images])
