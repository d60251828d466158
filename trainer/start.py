"""The console script `trainer`: one sentence where training's packages are missing, before anything imports them."""

from smear.help_only import require


def main() -> None:
    """Entry point of the console script."""
    require("trainer", "train")
    from trainer.cli import main as command_line  # noqa: PLC0415 - it imports what may be missing

    command_line()
