"""Pictures of the same cell: exact copies, and near ones by a perceptual hash over the eight dihedral views."""

from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import DisjointSet
from scipy.fft import dctn


Images = npt.NDArray[np.uint8]
Signs = npt.NDArray[np.float32]

#: Side of the grey picture that is hashed, and of the block of its lowest frequencies that is kept.
_GREY_PX: Final = 32
_FREQUENCIES: Final = 16
#: Bits of a hash: the block without its constant term.
BITS: Final = _FREQUENCIES**2 - 1
#: Two pictures are near duplicates if their hashes differ in so many bits at most, in the best of the eight views. Of
#: the 17.7 million pairs of `pbc` none differs in fewer than 53; copies of its pictures re-encoded differ in up to 12,
#: brightened by a fifth in 29, shifted by one pixel in 30, by two in 32 (median).
NEAR_BITS: Final = 40
_ROWS: Final = 1024


def near_pairs(images: Images, near_bits: int = NEAR_BITS) -> list[tuple[int, int]]:
    """(N, H, H, 3) uint8, H a multiple of 32 -> the pairs (i, j), i < j, that show the same picture."""
    block = _spectrum(images)
    own = _signs(block)
    views = [_signs(view) for view in _views(block)]
    pairs: list[tuple[int, int]] = []
    for at in range(0, len(own), _ROWS):
        # Hashes as +-1, so that a matrix product counts the equal bits less the others.
        agree = own[at : at + _ROWS] @ views[0][at:].T
        for view in views[1:]:
            np.maximum(agree, own[at : at + _ROWS] @ view[at:].T, out=agree)
        i, j = np.nonzero((BITS - agree) / 2 <= near_bits)
        pairs += [(int(a) + at, int(b) + at) for a, b in zip(i, j, strict=True) if a < b]
    return pairs


def groups(count: int, same: list[tuple[int, int]]) -> npt.NDArray[np.int64]:
    """(count,) group numbers in which the members of every pair share one; numbered by first appearance."""
    forest = DisjointSet(range(count))
    for i, j in same:
        forest.merge(i, j)
    roots = [forest[i] for i in range(count)]
    numbers: dict[int, int] = {}
    return np.array([numbers.setdefault(root, len(numbers)) for root in roots], np.int64)


def same_key(keys: list[str | None]) -> list[tuple[int, int]]:
    """Pairs that chain together all places with the same key; None has no equal."""
    places: dict[str, list[int]] = {}
    for i, key in enumerate(keys):
        if key is not None:
            places.setdefault(key, []).append(i)
    return [pair for chain in places.values() for pair in pairwise(chain)]


def _spectrum(images: Images) -> npt.NDArray[np.float32]:
    """(N, 16, 16): the lowest cosine frequencies of the grey pictures, without the constant one."""
    n, side = images.shape[:2]
    step = side // _GREY_PX
    grey = np.empty((n, _GREY_PX, _GREY_PX), np.float32)
    for i, image in enumerate(images):
        grey[i] = image.reshape(_GREY_PX, step, _GREY_PX, step, 3).mean(axis=(1, 3, 4))
    block = dctn(grey, axes=(1, 2), norm="ortho")[:, :_FREQUENCIES, :_FREQUENCIES]
    block[:, 0, 0] = 0
    return np.asarray(block, np.float32)


def _views(block: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
    """Mirroring a picture changes the sign of its odd frequencies, so all eight views come of one transform."""
    odd = (-1.0) ** np.arange(_FREQUENCIES, dtype=np.float32)
    turned = (block, block.transpose(0, 2, 1))
    return [b * down * across for b in turned for down in (1, odd[:, None]) for across in (1, odd[None])]


def _signs(block: npt.NDArray[np.float32]) -> Signs:
    """(N, 255) of +-1."""
    return np.where(block.reshape(len(block), -1)[:, 1:] > 0, np.float32(1), np.float32(-1))
