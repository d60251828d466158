"""A training run's state on disk, so that a run that broke off goes on where it was and ends the same."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from smear.plain import PlainError


class OtherRun(PlainError):
    """The checkpoint belongs to a run with other data or settings."""


class DamagedCheckpoint(PlainError):
    """The checkpoint cannot be read."""


def save_whole(value: Any, path: Path) -> None:
    """Write what torch can save, in one step: OSError (a full disk, say) leaves what was there before."""
    temporary = path.with_suffix(".partial")
    try:
        with temporary.open("wb") as file:
            torch.save(value, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except RuntimeError as error:  # what torch's writer makes of a full disk, and of Ctrl-C
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise OSError(f"cannot write {path}: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


@dataclass(frozen=True)
class Checkpoint:
    """File of one run. `identity` says which run it is; a checkpoint of another one is refused."""

    path: Path
    identity: str

    def save(self, state: dict[str, Any]) -> None:
        """Replace the checkpoint in one step; OSError (a full disk, say) leaves the previous one as it was."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        save_whole({"identity": self.identity, "state": state}, self.path)

    def load(self) -> dict[str, Any] | None:
        """The saved state, None where there is none; raises OtherRun and DamagedCheckpoint."""
        if not self.path.is_file():
            return None
        try:
            saved = torch.load(self.path, weights_only=True)
            found = saved["identity"]
        except Exception as error:  # whatever torch makes of a file that is none of its own
            raise DamagedCheckpoint(_damaged(self.path)) from error
        if found != self.identity:
            raise OtherRun(
                f"{self.path.parent} holds an unfinished run with other data or settings;"
                " finish that one, remove the folder, or choose another name"
            )
        state: dict[str, Any] = saved["state"]
        return state

    def resume(self, restore: Callable[[dict[str, Any]], object]) -> None:
        """Hand what was saved, if anything was, to `restore`; raises OtherRun and DamagedCheckpoint."""
        if (state := self.load()) is None:
            return
        try:
            restore(state)
        # Parts that lack or do not fit.
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise DamagedCheckpoint(_damaged(self.path)) from error

    def remove(self) -> None:
        """Forget the run, once its result is written."""
        self.path.unlink(missing_ok=True)
        if self.path.parent.is_dir() and not any(self.path.parent.iterdir()):
            self.path.parent.rmdir()


def _damaged(path: Path) -> str:
    return f"{path} is damaged; remove it, and its run begins again"
