"""The command `trainer nightly`: translate the call, do it, translate back."""

import os
import subprocess
import sys
from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console

from trainer import terminal
from trainer.learning import Epoch
from trainer.options import AsJson, Threads, prepare_torch
from trainer.produce import BadOrder
from trainer.terminal import plain_errors


def nightly(
    by_schedule: Annotated[
        bool, typer.Option("--by-schedule", hidden=True, help="One night a date, and the build left to its room.")
    ] = False,
    threads: Threads = 0,
    json: AsJson = False,
) -> None:
    """Learn from the laboratory's signed labels: collect, train, build, judge, offer. Broken off, it goes on.

    Exit code 0 whether or not a challenger is offered; the sentence says which, and why.
    """
    console = Console(stderr=True)
    with plain_errors(console):
        from smear.lease import Held  # noqa: PLC0415 - as below
        from smear.priority import idle  # noqa: PLC0415 - as below
        from smear.settings import load_settings  # noqa: PLC0415 - as below
        from smear.store import Store, schema_problem  # noqa: PLC0415 - as below
        from trainer.nightly.night import Nightly, scorecard_page  # noqa: PLC0415 - seconds that others need not wait

        settings = load_settings()
        os.umask(0o077)  # pictures of patients lie in what is kept
        store = Store(settings.database)
        if problem := schema_problem(store):
            raise BadOrder(problem)
        prepare_torch(threads)
        idle()  # by hand too: slides come first

        def say(sentence: str) -> None:
            console.print(sentence, markup=False, highlight=False, soft_wrap=True)

        def on_epoch(epoch: Epoch) -> None:
            inner = f"  inner split: {terminal.short_scores(epoch.inner)}" if epoch.inner else ""
            say(f"epoch {epoch.number}  loss {epoch.loss:.4f}{inner}")

        hand_over = (lambda _: False) if by_schedule else build_by_command
        try:
            told = Nightly(store, settings, hand_over, on_stage=say, on_epoch=on_epoch).run(
                datetime.now().astimezone().date(), again=not by_schedule
            )
        except Held as held:
            say(f"trainer: {held}")
            return
        if told is None:
            say("today has had its night already")
        elif json:
            terminal.print_json(told.as_json())
        else:
            say(told.sentence)
            page = scorecard_page(settings, told.night)
            if page.is_file():
                say(f"the scorecard is {page}")


def build_by_command(night: str) -> bool:
    """Let the other room's command do its stage, in a process of its own; raises OSError where it cannot start."""
    call = [sys.executable, "-P", "-c", "from engine_build.cli import main; main()", "nightly", night]
    subprocess.run(call, check=False)  # noqa: S603 - what came of it is in the stage's row
    return True
