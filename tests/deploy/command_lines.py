"""Would our own programs accept this command line? Asked of their real parsers, the commands themselves taken out."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from click import ClickException
from typer.exceptions import TyperException
from typer.main import get_command


PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "deploy"))

from supervise import read_procfile  # noqa: E402 - deploy/ holds scripts, not a package


def procfile() -> dict[str, str]:
    """Name -> command line of every process of `make run`."""
    return read_procfile(PROJECT / "Procfile")


def refusal(command: str) -> str | None:
    """None where the command line is accepted; else what is wrong with it."""
    program, *arguments = shlex.split(command)
    if program == "python":
        script, *rest = arguments
        if not (PROJECT / script).is_file():
            return f"there is no {script}"
        return f"{script} takes no arguments" if rest else None
    root = _root(program)
    if root is None:
        return f"{program} is no program of ours"
    with _nothing_is_run(root):
        try:
            code = root.main(arguments, prog_name=program, standalone_mode=False)
        # Typer carries a Click of its own, Celery uses the real one.
        except (ClickException, TyperException) as error:
            return getattr(error, "message", "") or type(error).__name__
    return f"exit code {code}" if code else None


def _root(program: str) -> Any:
    if program == "worker":
        from worker.cli import app

        return get_command(app)
    if program == "review":
        from review.cli import app as page

        return get_command(page)
    if program == "engine-build":
        from engine_build.cli import app as build

        return get_command(build)
    if program == "celery":
        from celery.bin.celery import celery

        return celery
    return None


@contextmanager
def _nothing_is_run(root: Any) -> Iterator[None]:
    kept = {command: command.callback for command in root.commands.values() if not hasattr(command, "commands")}
    try:
        for command in kept:
            command.callback = lambda **_: None
        yield
    finally:
        for command, callback in kept.items():
            command.callback = callback
