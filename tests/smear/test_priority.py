"""What goes last goes after everything else on the host, and takes no neighbour with it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


ASK = (
    "import json, os, pathlib; from smear.priority import idle; idle();"
    "p = pathlib.Path('/proc/self/autogroup');"
    "print(json.dumps([os.nice(0), os.sched_getscheduler(0) == os.SCHED_IDLE, p.exists() and p.read_text()]))"
)


def told(*, leads):
    call = [sys.executable, "-c", ASK]
    if not leads:  # a child of who leads
        call = [sys.executable, "-c", f"import subprocess; subprocess.run({call!r}, check=True)"]
    return json.loads(subprocess.run(call, capture_output=True, text=True, check=True, start_new_session=True).stdout)


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="needs Linux")
def test_a_process_goes_last_in_its_session():
    assert told(leads=False)[:2] == told(leads=True)[:2] == [19, True]


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="this kernel does not weigh sessions")
def test_who_leads_a_session_lowers_it_and_nobody_else_does():
    assert told(leads=True)[2].endswith(" nice 19\n")
    assert told(leads=False)[2].endswith(" nice 0\n")
