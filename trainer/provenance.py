"""Where a result comes from: the commit, the machine, the versions of what decides the numbers."""

import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final


_PROJECT: Final = Path(__file__).parent
#: Packages that decide a number somewhere between a picture's bytes and a network's weights.
_DECISIVE: Final = ("torch", "numpy", "scipy", "scikit-learn", "opencv-python-headless", "simplejpeg", "pillow")


def commit() -> str | None:
    """The project's commit, a plus where the tree differs from it; None for an installed package."""

    def git(*arguments: str) -> str:
        call = ["git", *arguments]
        done = subprocess.run(call, cwd=_PROJECT, capture_output=True, text=True, check=True, timeout=10)  # noqa: S603
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".")
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None


def versions() -> dict[str, str]:
    """Versions of Python and of the decisive packages."""
    return {"python": platform.python_version()} | {name: version(name) for name in _DECISIVE}


def host(device: str) -> dict[str, Any]:
    """The machine a result was made on."""
    return {"cpu": _cpu(), "cores": os.cpu_count(), "device": device}


def _cpu() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
