"""How a worker's process ended: by its own doing, or by somebody else's; and the name by which its claims are known."""

import contextlib
import hashlib
import os
import signal
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final


#: What people, init systems and shutdowns send. SIGKILL is the kernel's too, when memory runs out: see `of_status`.
_FROM_OUTSIDE: Final = frozenset(
    {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2}
)
_NAMES: Final = {int(one): one.name for one in signal.Signals}
_VMSTAT: Final = Path("/proc/vmstat")
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_PIDS: Final = Path("/proc/self/ns/pid")


@dataclass(frozen=True)
class End:
    """How a process ended, in words, and whether what it was doing may have been the cause."""

    words: str
    own: bool


#: Nobody saw how it ended: its heartbeat stopped. It may have been what it was doing.
SILENT: Final = End("went silent", own=True)


def of_status(status: int, *, out_of_memory: bool) -> End:
    """From a wait status (os.wait). `out_of_memory`: the kernel has killed something for memory meanwhile."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        name = _NAMES.get(number, f"signal {number}")
        if number == signal.SIGKILL and out_of_memory:
            return End("ran out of memory", own=True)
        return End(f"was ended by {name}", own=number not in _FROM_OUTSIDE)
    code = os.waitstatus_to_exitcode(status)
    # Told to stop it ends with 0, and hands its slide back or finishes it.
    return End(f"ended with exit code {code}", own=code != 0)


def out_of_memory_kills() -> int:
    """How many processes the kernel has killed for memory since it started; 0 where it does not say."""
    try:
        for line in _VMSTAT.read_text(encoding="ascii").splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    except (OSError, ValueError):
        pass
    return 0


def process_name(pid: int) -> str:
    """The name under which a process of this host claims: no other process anywhere has it.

    Host names are often all the same, above all in containers, and so are process numbers there.
    """
    return f"{socket.gethostname()[:80]}:{_place()}:{pid}"


@cache
def _place() -> str:
    """Eight digits that differ between boots, hosts and containers."""
    told = ["", ""]
    with contextlib.suppress(OSError):
        told[0] = _BOOT.read_text(encoding="ascii")
    with contextlib.suppress(OSError):
        told[1] = str(_PIDS.readlink())
    return hashlib.sha256("|".join(told).encode()).hexdigest()[:8]
