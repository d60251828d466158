"""The named steps of the work, where a ticket can make something go wrong, and the protections to switch off.

Which function of the product a step is stands here and nowhere else.
"""

import ctypes
import dataclasses
import errno
import functools
import importlib
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from faults.plan import Plan


#: Where a worker can be killed: the function that has just done the step.
KILL_STEPS: Final = {
    "claimed": "worker.ledger.claim",
    "hashed": "worker.reading.fetch",
    "decoded": "worker.reading.to_pixels",
    "inferred": "worker.classify.infer",
    "before-commit": "worker.record.write",
    "after-commit": "worker.work.record",
    "before-ack": "worker.work.Work.do",
}
#: Where reading can fail: the function that is about to be called.
WORKER_READS: Final = {"read": "worker.reading.read_file", "look": "smear.layout.SlidesLayout.look"}
WATCHER_READS: Final = {"watch-read": "worker.watch.changes.read_file", "watch-look": "smear.layout.SlidesLayout.look"}
#: Errors that a step may be told to raise.
ERRORS: Final = {"EIO", "ESTALE", "EBUSY"}


#: Held during a heartbeat: a process that is stopped in the middle of one would keep SQLite's lock from everybody.
_NO_BEAT: Final = threading.Lock()


def install(plan: Plan, role: str) -> None:
    """Wrap what a worker or a watcher will call."""
    if role == "worker":
        for step, name in KILL_STEPS.items():
            wrap(name, functools.partial(_then, plan, step))
        for step, name in WORKER_READS.items():
            wrap(name, functools.partial(_first, plan, step))
        wrap("worker.reading.to_pixels", functools.partial(_dying_of_killers, plan))
        wrap("worker.ledger.beat", _with_no_beat)
        wrap("worker.work.record", functools.partial(_whatever_the_token, plan))
    else:
        for step, name in WATCHER_READS.items():
            wrap(name, functools.partial(_first, plan, step))
        wrap("worker.watch.reconcile.publish", functools.partial(_thrice, plan))
        _time_scans(plan)
        for name in ("_end_silent_claims", "_find_lost_messages"):
            wrap(f"worker.watch.reconcile.Reconciler.{name}", functools.partial(_unless_off, plan, "no-reconciler"))
        wrap("worker.watch.reconcile.end_claim", functools.partial(_whoever_died, plan))
    _other_clock(plan)


def wrap(dotted: str, make: Callable[[Any], Any]) -> None:
    """Put what `make` makes of it in the place of a function, named by module, class and name."""
    module, _, name = dotted.rpartition(".")
    try:
        owner: Any = importlib.import_module(module)
    except ModuleNotFoundError:
        module, _, of = module.rpartition(".")
        owner = getattr(importlib.import_module(module), of)
    setattr(owner, name, make(getattr(owner, name)))


def act(action: str) -> None:
    """Do what a ticket says."""
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)  # until the signal is there
    elif action == "stop":
        with _NO_BEAT:
            os.kill(os.getpid(), signal.SIGSTOP)
    elif action in ERRORS:
        number = getattr(errno, action)
        raise OSError(number, os.strerror(number))
    else:
        raise ValueError(action)


def _then(plan: Plan, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        result = function(*arguments, **named)
        # A claim that was not to be had is no claim.
        if (step != "claimed" or result is not None) and (action := plan.take(step)):
            act(action)
        return result

    return wrapped


def _with_no_beat(beat: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(beat)
    def wrapped(*arguments: Any) -> None:
        with _NO_BEAT:
            beat(*arguments)

    return wrapped


def _first(plan: Plan, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        if action := plan.take(step):
            act(action)
        return function(*arguments, **named)

    return wrapped


def _dying_of_killers(plan: Plan, prepare: Callable[..., Any]) -> Callable[..., Any]:
    from smear.files import sha256

    @functools.wraps(prepare)
    def wrapped(data: bytes, *arguments: Any, **named: Any) -> Any:
        digest = sha256(data)
        if manner := plan.manner_of(digest):
            plan.note(what="died", of=digest, manner=manner)
            die(manner)
        return prepare(data, *arguments, **named)

    return wrapped


def die(manner: str) -> None:
    """End this process as a decoder's bug would."""
    if manner == "segv":
        ctypes.string_at(0)
    if manner == "abort":
        os.abort()
    if manner == "oom":
        os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does it where memory runs out
        time.sleep(60)
    os._exit(3)


def _thrice(plan: Plan, publish: Callable[..., None]) -> Callable[..., None]:
    """In the mode `thrice`: every message three times, in no order. A few are kept back, and sent among later ones."""
    kept: list[int] = []
    dice = random.Random(0)

    @functools.wraps(publish)
    def wrapped(app: Any, revision: int, *more: Any, **named: Any) -> None:
        if not plan.mode("thrice"):
            publish(app, revision, *more, **named)
            return
        kept.extend([revision] * 3)
        dice.shuffle(kept)
        # What is never sent at all here, the reconciler finds.
        while len(kept) > 4:
            publish(app, kept.pop(), *more, **named)
            plan.note(what="sent")

    return wrapped


def _unless_off(plan: Plan, mode: str, function: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(function)
    def wrapped(*arguments: Any) -> None:
        if not plan.mode(mode):
            function(*arguments)

    return wrapped


def _whatever_the_token(plan: Plan, record: Callable[..., None]) -> Callable[..., None]:
    """The fencing token switched off: a result is written under whatever token the row has by now."""
    from smear.tables import RevisionRow

    @functools.wraps(record)
    def wrapped(store: Any, claim: Any, *more: Any, **named: Any) -> None:
        if plan.mode("no-fencing"):
            with store.read() as session:
                claim = dataclasses.replace(claim, token=session.get_one(RevisionRow, claim.revision).token)
        record(store, claim, *more, **named)

    return wrapped


def _whoever_died(plan: Plan, end_claim: Callable[..., bool]) -> Callable[..., bool]:
    """The cap switched off: a dead worker's claim is taken back, and nobody counts how many have died."""
    from worker import ledger
    from worker.ending import End

    @functools.wraps(end_claim)
    def wrapped(store: Any, claim: Any, *more: Any) -> bool:
        if not plan.mode("no-cap"):
            return end_claim(store, claim, *more)
        return bool(ledger.take_back(store, claim, End("died, and nobody counts", own=False)))

    return wrapped


def _time_scans(plan: Plan) -> None:
    """In the mode `timed`: how long each comparison of a whole root took, which may be spread over many steps."""
    from worker.watch.source import SourceWatch

    begun: dict[int, float] = {}

    def at_begin(begin: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(watch: Any, *more: Any) -> Any:
            begun[id(watch)] = time.monotonic()
            return begin(watch, *more)

        return wrapped

    def at_end(end: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(watch: Any, *more: Any) -> Any:
            result = end(watch, *more)
            if plan.mode("timed"):
                plan.note(what="scan", seconds=time.monotonic() - begun[id(watch)])
            return result

        return wrapped

    if hasattr(SourceWatch, "scan"):
        SourceWatch.scan = at_end(at_begin(SourceWatch.scan))
    else:
        wrap("worker.watch.source.SourceWatch._begin_scan", at_begin)
        wrap("worker.watch.source.SourceWatch._end_scan", at_end)


def _other_clock(plan: Plan) -> None:
    """The mode `clock`: the wall clock is that many seconds off. The monotonic clock is not: it never is."""
    from smear import tables

    true_time, true_utc_now = time.time, tables.utc_now
    looked = [float("-inf"), 0.0]

    def off() -> float:
        now = time.monotonic()
        if now - looked[0] > 0.2:
            looked[:] = [now, float(plan.mode("clock") or 0)]
        return looked[1]

    def utc_now() -> Any:
        from datetime import timedelta

        return true_utc_now() + timedelta(seconds=off())

    time.time = lambda: true_time() + off()
    for module in [m for name, m in sys.modules.items() if name.split(".")[0] in {"smear", "worker"}]:
        if getattr(module, "utc_now", None) is true_utc_now:
            module.utc_now = utc_now  # type: ignore[attr-defined]
