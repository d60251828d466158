"""Which version of this program runs: `--version` of every command, and what signatures carry."""

from importlib.metadata import PackageNotFoundError, version
from typing import Final


#: Where the program runs from a folder that was never installed.
_UNINSTALLED: Final = "0"


def program_version() -> str:
    """Program and version in one line, such as `wnet-worker 0.1.0`."""
    try:
        return f"wnet-worker {version('wnet-worker')}"
    except PackageNotFoundError:
        return f"wnet-worker {_UNINSTALLED}"
