"""What is to go wrong next, as files: tickets, modes and killers that a test lays down and a wrapped process finds.

A ticket is used once, by whichever process first reaches its step: taking it is an `unlink`, which succeeds for one
alone. A mode holds for as long as its file is there. A killer is a picture, by SHA-256, whose decoding ends a process.
"""

import json
import os
import time
import uuid
from pathlib import Path
from typing import Any


class Plan:
    """The folder both sides look into."""

    def __init__(self, folder: Path) -> None:
        self._tickets, self._modes, self._killers = (folder / name for name in ("tickets", "modes", "killers"))
        self._log = folder / "acted.jsonl"
        for each in (self._tickets, self._modes, self._killers):
            each.mkdir(parents=True, exist_ok=True)

    # --- tickets

    def give(self, action: str, step: str, times: int = 1) -> None:
        """Whoever reaches the step next does this: kill, stop, or an error's name such as EIO."""
        for _ in range(times):
            (self._tickets / f"{step}@{action}@{uuid.uuid4().hex}").touch()

    def take(self, step: str) -> str | None:
        """The action of a ticket for this step, which is then used up; None where there is none."""
        for ticket in sorted(self._tickets.iterdir()):
            at, action, _ = ticket.name.split("@")
            if at != step:
                continue
            try:
                ticket.unlink()
            except FileNotFoundError:
                continue
            self.note(what=action, step=step)
            return action
        return None

    def waiting(self, step: str | None = None) -> int:
        """How many tickets nobody has taken yet."""
        return sum(step in {None, ticket.name.split("@")[0]} for ticket in self._tickets.iterdir())

    def withdraw(self) -> None:
        """Take every ticket back, and end every mode."""
        for file in [*self._tickets.iterdir(), *self._modes.iterdir(), *self._killers.iterdir()]:
            file.unlink(missing_ok=True)

    # --- modes

    def switch(self, mode: str, value: str = "on") -> None:
        """Begin a mode, or give it another value."""
        new = self._modes / f".{mode}"
        new.write_text(value, encoding="utf-8")
        new.rename(self._modes / mode)

    def mode(self, name: str) -> str | None:
        """The mode's value; None where it is off."""
        try:
            return (self._modes / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    # --- killers

    def plant(self, sha256: str, manner: str) -> None:
        """Decoding this picture ends the process: `segv`, `abort`, `exit`, or `oom`, as the kernel does it."""
        (self._killers / sha256).write_text(manner, encoding="utf-8")

    def manner_of(self, sha256: str) -> str | None:
        """How this picture kills; None for all but killers."""
        try:
            return (self._killers / sha256).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    # --- what came of it

    def note(self, **what: Any) -> None:
        """Write down what was done, before it is done: the process may not live to tell."""
        line = json.dumps({"pid": os.getpid(), "at": time.monotonic(), **what}) + "\n"
        descriptor = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)

    def notes(self, **like: Any) -> list[dict[str, Any]]:
        """What was noted, oldest first; only what agrees with `like`."""
        if not self._log.exists():
            return []
        lines = [json.loads(line) for line in self._log.read_text(encoding="utf-8").splitlines()]
        return [line for line in lines if like.items() <= line.items()]
