"""Is there an NVIDIA driver? Asked of the dynamic loader alone: no CUDA call that a later fork would inherit."""

import ctypes
from typing import Final


LIBRARY: Final = "libcuda.so.1"


def problem(library: str = LIBRARY) -> str | None:
    """What stands in the way of using a GPU, in plain words; None where the driver's library loads.

    Some TensorRT builds end the process where there is no driver, so this is asked before any of them is touched.
    """
    try:
        ctypes.CDLL(library)
    except OSError:
        return f"there is no NVIDIA driver here ({library} is not found)"
    return None


def version(library: str = LIBRARY) -> str | None:
    """The newest CUDA that the driver can do, as "13.0"; None without a driver. Does not initialise CUDA."""
    number = ctypes.c_int(0)
    try:
        if ctypes.CDLL(library).cuDriverGetVersion(ctypes.byref(number)) != 0:
            return None
    except (OSError, AttributeError):
        return None
    return f"{number.value // 1000}.{number.value % 1000 // 10}"
