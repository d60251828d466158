"""The lease of the night: one holder, followed at once when it has ended, and never writing after it was overtaken."""

import os
import signal
import subprocess
import sys

import pytest

from smear.lease import Held, Lease, Lost


HOLD = """
import sys, time
from smear.lease import Lease
from smear.store import Store
with Lease(Store(sys.argv[1]), "nightly", 3):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_one_is_told_who_has_it_and_a_killed_one_is_followed_at_once(sqlite_store):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(sqlite_store.engine.url)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(Held, match="under way already"), Lease(sqlite_store, "nightly", 60):
            pass
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    with Lease(sqlite_store, "nightly", 1000) as lease:
        assert lease.token == 2


def test_a_holder_elsewhere_is_followed_after_its_silence(store):
    with Lease(store, "nightly", 60) as lease:
        lease._holder = "elsewhere"
    _hold_elsewhere(store)
    now = iter(range(0, 1000, 5))
    with Lease(store, "nightly", 30, clock=lambda: float(next(now)), sleep=lambda _: None) as lease:
        assert lease.token == 2


def test_who_was_overtaken_writes_nothing(store):
    with Lease(store, "nightly", 60) as first:
        _hold_elsewhere(store, token=9)
        with pytest.raises(Lost), store.write() as session:
            first.check(session)


def _hold_elsewhere(store, token=None):
    from smear.nightly_tables import LeaseRow

    with store.write() as session:
        row = session.get(LeaseRow, "nightly")
        row.holder = "another-host:boot:1:77:123"
        row.token = row.token if token is None else token
        session.add(row)
