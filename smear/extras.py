"""The optional sets of packages: what of a set is missing here, and the line that installs it.

Running needs none of them, so commands that do say in one sentence what to install instead of failing at an import.
"""

import importlib.util
import sys
from pathlib import Path
from typing import Final, Literal

import smear


Extra = Literal["train", "engines"]

#: The modules that each set of pyproject.toml adds to what running needs.
MODULES: Final[dict[Extra, tuple[str, ...]]] = {
    "train": ("torch", "onnx", "onnxruntime", "sklearn", "scipy", "matplotlib", "pyarrow", "threadpoolctl"),
    "engines": ("nncf", "onnx"),
}


def missing(extra: Extra) -> list[str]:
    """The modules of a set that cannot be imported here, found without importing any."""
    return [name for name in MODULES[extra] if not _is_there(name)]


def install_line(extra: Extra) -> str:
    """The command that installs a set into this very environment; to be run in the project's folder."""
    pip = f"{sys.executable} -m pip install -c constraints.txt"
    in_a_checkout = (Path(smear.__file__).parents[1] / "pyproject.toml").is_file()
    return f"{pip} {'--editable ' if in_a_checkout else ''}'.[{extra}]'"


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
