"""The one face of every engine: uint8 pictures in, logits and features out, strict at the door."""

from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from smear.cells import CELL_TYPES
from smear.geometry import SIDE_PX
from smear.plain import PlainError


Images = npt.NDArray[np.uint8]  # (N, 128, 128, 3) RGB
Floats = npt.NDArray[np.float32]

FEATURES: Final = 1024


class EngineUnavailable(PlainError):
    """An engine that cannot run on this host; its text says what is missing."""


class Engine(Protocol):
    """Runs one bundle's network. May be called from several threads."""

    #: Engine and precision, as results carry it: "openvino-fp32".
    name: str

    def infer(self, images: Images) -> tuple[Floats, Floats]:
        """(N, 128, 128, 3) uint8 RGB -> logits (N, 5), features (N, 1024), both float32; N may be 0."""
        ...


def check_images(images: Images) -> None:
    """TypeError or ValueError unless these are C-contiguous (N, 128, 128, 3) uint8."""
    if getattr(images, "dtype", None) != np.uint8:
        raise TypeError(f"an engine takes uint8 pictures, not {getattr(images, 'dtype', type(images).__name__)}")
    if images.ndim != 4 or images.shape[1:] != (SIDE_PX, SIDE_PX, 3):
        raise ValueError(f"an engine takes (N, {SIDE_PX}, {SIDE_PX}, 3) pictures, not {images.shape}")
    if not images.flags.c_contiguous:
        raise ValueError("an engine takes C-contiguous pictures")


def empty_answer(n: int) -> tuple[Floats, Floats]:
    """Room for the answer to n pictures: logits (n, 5) and features (n, 1024)."""
    return np.empty((n, len(CELL_TYPES)), np.float32), np.empty((n, FEATURES), np.float32)
