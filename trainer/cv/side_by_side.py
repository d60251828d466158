"""The folds of a run, each in a process of its own, so many at a time."""

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from smear.plain import PlainError
from trainer.cv.folder import is_done
from trainer.learning import BrokeOff


#: (fold, what it said): `steps`, `of`, `epochs` when it starts, `steps` or `epoch` later, `done` at its end.
OnSaid = Callable[[int, dict[str, Any]], object]

_STOP_SECONDS: Final = 10.0
#: So much of what a process that died wrote is repeated.
_LAST_WORDS: Final = 300


class RefusedFold(PlainError):
    """A fold that cannot go on from what is there, however often it is tried."""


@dataclass
class _Fold:
    number: int
    process: subprocess.Popen[str]
    error: str | None = None
    for_good: bool = False
    stderr: list[str] = field(default_factory=list)
    drain: threading.Thread = field(default_factory=threading.Thread)


def run_folds(out: Path, folds: list[int], jobs: int, on_said: OnSaid = lambda *_: None) -> None:
    """Run what is not done yet of the folds to their results, `jobs` at a time.

    Raises BrokeOff where one fails, RefusedFold where it would again; the others are stopped then, and go on from their
    last epoch in the next run.
    """
    waiting = [fold for fold in folds if not is_done(out, fold)]
    said: queue.Queue[tuple[_Fold, dict[str, Any] | None]] = queue.Queue()
    running: list[_Fold] = []
    with _stopped_at_the_end(running):
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(_start(out, waiting.pop(0), said))
            fold, message = said.get()
            if message is None:
                running.remove(fold)
                _check(out, fold)
                on_said(fold.number, {"done": True})
            elif "error" in message:
                fold.error, fold.for_good = message["error"], message.get("for_good", False)
            else:
                on_said(fold.number, message)


def _start(out: Path, number: int, said: "queue.Queue[tuple[_Fold, dict[str, Any] | None]]") -> _Fold:
    # A session of its own: Ctrl-C is for the parent, which stops its folds in order.
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-P", "-m", "trainer.cv.fold", str(out.resolve()), str(number)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
        errors="replace", start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    fold = _Fold(number, process)
    fold.drain = threading.Thread(target=_drain, args=(fold,), daemon=True)
    fold.drain.start()
    threading.Thread(target=_listen, args=(fold, said), daemon=True).start()
    return fold


def _drain(fold: _Fold) -> None:
    assert fold.process.stderr is not None
    with fold.process.stderr as lines:
        fold.stderr.extend(lines)


def _listen(fold: _Fold, said: "queue.Queue[tuple[_Fold, dict[str, Any] | None]]") -> None:
    assert fold.process.stdout is not None
    try:
        with fold.process.stdout as lines:
            for line in lines:
                # A library may print; and who is killed may leave half a line.
                with contextlib.suppress(ValueError):
                    if isinstance(message := json.loads(line), dict):
                        said.put((fold, message))
    finally:
        fold.process.wait()
        fold.drain.join(_STOP_SECONDS)
        said.put((fold, None))


def _check(out: Path, fold: _Fold) -> None:
    if fold.process.returncode == 0 and is_done(out, fold.number):
        return
    reason = fold.error
    if reason is None:
        last = " ".join("".join(fold.stderr).split())[-_LAST_WORDS:]
        reason = f"its process ended with status {fold.process.returncode}" + (f": {last}" if last else "")
    raise (RefusedFold if fold.for_good else BrokeOff)(f"fold {fold.number}: {reason}")


@contextmanager
def _stopped_at_the_end(running: list[_Fold]) -> Iterator[None]:
    try:
        yield
    finally:
        for fold in running:
            fold.process.terminate()
        for fold in running:
            try:
                fold.process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                fold.process.kill()
                fold.process.wait()
