"""The whole service, started as `make run` starts it and driven from outside."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil


PROJECT = Path(__file__).resolve().parents[2]

#: What each process of the Procfile looks like from outside.
COMMANDS = {"broker": "-server", "watcher": "worker watch", "worker": "-Q slides", "page": "review serve"}


class Service:
    """One supervised service on a WNET_VAR of its own."""

    #: What stands in for `make run`.
    command: tuple[str, ...] = ("deploy/supervise.py",)
    #: Times by which this machine may be slower than a quiet one: other tests run beside these.
    patience = 3.0

    def __init__(self, var: Path, **settings: str) -> None:
        self.var, self.drop, self.log = var, var / "in", var.parent / "run.log"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("WNET_")},
            "WNET_VAR": str(var),
            "WNET_DROP": str(self.drop),
            "WNET_FILE_SETTLE_SECONDS": "0.5",
            "WNET_SETTLE_SECONDS": "2",
            "WNET_SCAN_SECONDS": "5",
            "WNET_COMPILE": "false",
            "WNET_DISK_RESERVE_MB": "20",
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it watches."""
        watching = self.said().count("event=watching") if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self.command],
                cwd=PROJECT,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self.wait_for(lambda: self.said().count("event=watching") > watching, 120)
        except AssertionError:
            self.stop()
            raise

    def stop(self) -> float:
        """Stop it as Ctrl-C does; seconds that took. Whatever is left over is killed and is an error."""
        assert self._process is not None
        started = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30 * self.patience)
        finally:
            left = self.processes()
            for process in left:
                process.kill()
        assert not left, f"outlived its supervisor: {left}"
        return time.monotonic() - started

    def said(self) -> str:
        """Everything the service has printed."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def processes(self, name: str | None = None) -> list[psutil.Process]:
        """The service's own processes, all or those of one line of the Procfile, children included."""
        assert self._process is not None
        try:
            children = psutil.Process(self._process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            children = []
        # Whoever lost its parent still carries its WNET_VAR.
        orphans = [p for p in psutil.process_iter() if _var_of(p) == str(self.var)]
        found = {p.pid: p for p in [*children, *orphans] if p.pid not in {self._process.pid, os.getpid()}}
        return [p for p in found.values() if name is None or COMMANDS[name] in _command_of(p)]

    def doors(self) -> dict[tuple[str, int], str]:
        """Where this service listens for the network: the command by (address, port)."""
        found = {}
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                found |= {
                    tuple(c.laddr): _command_of(process)
                    for c in process.net_connections("inet")
                    if c.status == psutil.CONN_LISTEN
                }
        return found

    def page(self) -> str:
        """The review page's address, once it has been printed."""
        self.wait_for(lambda: "Review page: http://" in self.said(), 30)
        return next(word for word in self.said().split() if word.startswith("http://127.0.0.1:"))

    def kill(self, name: str) -> None:
        """`kill -9` the whole process tree of one line of the Procfile, and see it gone."""
        tree: set[psutil.Process] = set()

        def found() -> bool:
            # A process that is just being replaced by the program it starts has no command line for a moment, and one
            # may end by itself while it is looked at.
            tree.clear()
            for root in self.processes(name):
                with suppress(psutil.NoSuchProcess):
                    tree.update([root, *root.children(recursive=True)])
            return bool(tree)

        self.wait_for(found, 10)
        for process in tree:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(tree, 10 * self.patience)

    def kill_supervisor(self) -> None:
        """`kill -9` the supervisor alone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def worker(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the `worker` command on this service."""
        command = [sys.executable, "-c", "from worker.cli import main; main()", *arguments]
        return subprocess.run(
            command, cwd=PROJECT, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )

    def results(self, *arguments: str) -> dict[str, dict[str, Any]]:
        """`worker results --json`, by slide; no slide may be there twice."""
        done = self.worker("results", "--json", *arguments)
        assert done.returncode == 0, done.stderr
        slides = [json.loads(line) for line in done.stdout.splitlines()]
        by_name = {slide["slide_id"]: slide for slide in slides}
        assert len(by_name) == len(slides), "a slide came out twice"
        return by_name

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Rows straight from the database."""
        with sqlite3.connect(f"file:{self.var / 'wnet.sqlite'}?mode=ro", uri=True, timeout=30) as connection:
            return connection.execute(query).fetchall()

    def dump(self) -> list[str]:
        """The whole database as SQL, but for the sources: they say when they were scanned last."""
        with sqlite3.connect(f"file:{self.var / 'wnet.sqlite'}?mode=ro", uri=True, timeout=30) as connection:
            return [line for line in connection.iterdump() if not line.startswith('INSERT INTO "sources"')]

    def states(self) -> dict[str, tuple[int, str]]:
        """(revision, state) of every slide's latest revision, by slide."""
        query = """SELECT s.slide_id, r.number, r.state FROM slides s JOIN revisions r ON r.slide = s.id
                   ORDER BY r.number"""
        return {slide_id: (number, state) for slide_id, number, state in self.rows(query)}

    def wait_for(self, condition: Callable[[], object], seconds: float) -> float:
        """Wait until a condition holds; seconds that took. Fails with the end of the log."""
        started = time.monotonic()
        while not condition():
            waited = time.monotonic() - started
            assert waited < seconds * self.patience, f"not within {seconds} s; the log ends:\n{self.said()[-3000:]}"
            time.sleep(0.05)
        return time.monotonic() - started


def _var_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("WNET_VAR")
    except (psutil.Error, OSError):
        return None


def _command_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except (psutil.Error, OSError):
        return ""
