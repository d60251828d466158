"""Going last: what nobody waits for leaves the processor to what slides wait for."""

import contextlib
import os
from pathlib import Path
from typing import Final


#: The weight of this process's session among all sessions (sched(7), "The autogroup feature").
_AUTOGROUP: Final = Path("/proc/self/autogroup")


def idle() -> None:
    """Let everything else on this host go first, for the rest of this process and what it starts.

    Linux weighs sessions against each other before it looks at processes, so "last" reaches no further than a session.
    A process that leads its session lowers the session as well; another does not, for it would lower its neighbours.
    """
    os.nice(19)
    with contextlib.suppress(AttributeError, OSError):  # other systems lack it, and some containers forbid it
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):  # a kernel without autogroups
            _AUTOGROUP.write_text("19", encoding="ascii")
