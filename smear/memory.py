"""Telling a host that is short of memory from every other error: runtimes say so in many ways."""

import errno
from typing import Final


#: What NumPy, OpenVINO, ONNX Runtime, OpenCV, libjpeg, CUDA and the C++ library say, in small letters.
_SIGNS: Final = (
    "bad_alloc",
    "bad allocation",
    "can't alloc",
    "cannot allocate",
    "failed to allocate",
    "insufficient memory",
    "out of memory",
    "can't start new thread",
)


def is_shortage(error: BaseException) -> bool:
    """Whether an error, or what caused it, is a lack of memory: the host's condition, and no fault of data or code."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        if isinstance(found, MemoryError) or (isinstance(found, OSError) and found.errno == errno.ENOMEM):
            return True
        if isinstance(found, Exception) and any(sign in str(found).lower() for sign in _SIGNS):
            return True
        found = found.__cause__ or found.__context__
    return False
