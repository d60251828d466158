"""The running service with faults in it: the real supervisor and its real processes, each behind the wrapper."""

import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from faults.plan import Plan
from flow.service import PROJECT, Service
from redis import Redis
from supervisor.xmlrpc import SupervisorTransport

from smear.settings import Settings
from smear.store import Store, schema_problem
from worker.queue import depth, sender


class FaultyService(Service):
    """A service whose parts can be killed, paused, cut off and told to fail, from outside and at named steps."""

    command = ("tests/faults/supervised.py",)

    def __init__(
        self, home: Path, *, workers: int = 1, modes: tuple[str, ...] = (), patience: float = 1.0, **settings: str
    ) -> None:
        """`home` holds plan and log, and WNET_VAR where the settings name no other."""
        super().__init__(Path(settings.get("WNET_VAR", home / "var")), **settings)
        self.log = home / "run.log"
        self.patience, self._workers = patience, workers
        self.plan = Plan(home / "plan")
        for mode in modes:
            self.plan.switch(mode)
        self.environment |= {"FAULTS_PLAN": str(home / "plan"), "FAULTS_WORKERS": str(workers)}
        names = {n.removeprefix("WNET_").lower(): v for n, v in self.environment.items() if n.startswith("WNET_")}
        self.settings = Settings(_env_file=None, **names)  # type: ignore[arg-type]
        self.drop = self.settings.sources[0].root
        self.store = Store(self.settings.database)
        self._sender = sender(self.settings)

    def processes(self, name: str | None = None) -> list[psutil.Process]:
        """As a service's, without those that only report a worker's death to the database, and end by themselves."""
        return [process for process in super().processes(name) if not _reports_a_death(process)]

    # --- killing and pausing

    @contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """Meanwhile every process of that line of the Procfile stands still; none in the middle of a transaction.

        One that has just died is waited for: its successor would come in the middle of the pause.
        """
        wanted = self._workers if name == "worker" else 1
        stopped: list[psutil.Process] = []

        def all_stand_still() -> bool:
            stopped[:] = self.processes(name)
            _signal(stopped, signal.SIGSTOP)
            time.sleep(0.05)
            if sum(_stands_still(process) for process in stopped) >= wanted and self._unlocked():
                return True
            _signal(stopped, signal.SIGCONT)
            return False

        wait(all_stand_still, 60 * self.patience, f"no {name} could be made to stand still")
        try:
            yield
        finally:
            _signal(stopped, signal.SIGCONT)

    def _unlocked(self) -> bool:
        """Whether nobody who stands still holds SQLite's lock, which would keep all others from writing."""
        if self.store.file is None:
            return True
        connection = sqlite3.connect(self.store.file, timeout=2 * self.patience, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        finally:
            connection.close()
        return True

    @contextmanager
    def without(self, name: str) -> Iterator[None]:
        """Meanwhile the supervisor keeps one of its processes stopped."""
        with self._supervisor() as supervisor:
            supervisor.stopProcess(name)
        try:
            yield
        finally:
            with self._supervisor() as supervisor:
                supervisor.startProcess(name, False)

    @contextmanager
    def _supervisor(self) -> Iterator[Any]:
        socket = self.settings.socket_folder / "supervisor.sock"
        with closing(SupervisorTransport(None, None, f"unix://{socket}")) as transport:
            yield xmlrpc.client.ServerProxy("http://127.0.0.1", transport).supervisor

    def wake(self) -> None:
        """Whatever a ticket has stopped goes on."""
        for process in self.processes():
            try:
                if process.status() == psutil.STATUS_STOPPED:
                    process.send_signal(signal.SIGCONT)
            except psutil.NoSuchProcess:
                continue

    @contextmanager
    def another_worker(self) -> Iterator[subprocess.Popen[bytes]]:
        """One worker more, started by hand beside the supervisor's."""
        line = "celery --quiet -A worker worker -Q slides -P solo --without-gossip --without-mingle -n second@%h"
        with self.log.open("ab") as log:
            more = subprocess.Popen(
                [sys.executable, "tests/faults/wrapped.py", *line.split()],
                cwd=PROJECT, env=self.environment, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            yield more
        finally:
            more.kill()
            more.wait()

    # --- broker and database

    def broker(self) -> "Redis[bytes]":
        """A client of the service's own broker."""
        return Redis(unix_socket_path=str(self.settings.broker_socket), socket_timeout=10)

    def flush(self) -> None:
        """FLUSHALL: every message is gone."""
        with self.broker() as client:
            client.flushall()

    def queued(self) -> int:
        """Messages that wait in the broker; -1 where it does not answer."""
        waiting = depth(self._sender)
        return -1 if waiting is None else waiting

    def damage(self) -> str | None:
        """What is wrong with the database's file; None for nothing."""
        if self.store.file is None:
            return schema_problem(self.store)
        with sqlite3.connect(self.store.file, timeout=30) as connection:
            (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
        return None if verdict == "ok" else str(verdict)

    # --- what the log shows

    def spawned(self) -> int:
        """How often the supervisor has started a process."""
        logs = sorted((self.var / "logs").glob("supervisor.log*"))
        return sum(log.read_text(encoding="utf-8", errors="replace").count("INFO spawned") for log in logs)

    def end(self) -> None:
        """Stop it by whatever means, and close what was opened."""
        self.plan.withdraw()
        self.wake()
        try:
            self.stop()
        finally:
            self.store.close()
            if not self.settings.socket_folder.is_relative_to(self.var):
                shutil.rmtree(self.settings.socket_folder, ignore_errors=True)


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _stands_still(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_STOPPED)
    except psutil.NoSuchProcess:
        return False


def _reports_a_death(process: psutil.Process) -> bool:
    try:
        return {"died", "--pid"} <= set(process.cmdline())
    except (psutil.Error, OSError):
        return False


@contextmanager
def locked(database: Path, seconds: float) -> Iterator[None]:
    """Another process holds the SQLite database's lock for so long."""
    code = (
        "import sqlite3, sys, time; c = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None); "
        "c.execute('BEGIN EXCLUSIVE'); print('locked', flush=True); "
        "time.sleep(float(sys.argv[2])); c.execute('ROLLBACK')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(database), str(seconds)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        yield
        holder.wait()


def wait(condition: Any, seconds: float, what: str) -> float:
    """Wait until it holds; seconds that took. Fails in words."""
    started = time.monotonic()
    while not condition():
        waited = time.monotonic() - started
        assert waited < seconds, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.1)
    return time.monotonic() - started
