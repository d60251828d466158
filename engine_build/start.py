"""The console script `engine-build`: one sentence where its packages are missing, before anything imports them."""

from typing import Final

from smear.help_only import require


#: NNCF makes int8 alone; where that is asked for and NNCF is missing, the build itself says so.
_NEEDED: Final = ("onnx",)


def main() -> None:
    """Entry point of the console script."""
    require("engine-build", "engines", _NEEDED)
    from engine_build.cli import main as command_line  # noqa: PLC0415 - it imports what may be missing

    command_line()
