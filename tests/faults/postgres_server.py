"""A PostgreSQL server of our own, from the system's programs: started, killed and started again by a test."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any


class NoPostgres(Exception):
    """The system has no PostgreSQL programs."""


class PostgresServer:
    """A server on a Unix socket and, where a port is given, on loopback."""

    def __init__(self) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        initdb = str(found[-1]) if found else shutil.which("initdb")
        if initdb is None:
            raise NoPostgres("needs PostgreSQL's own programs: apt-get install postgresql")
        self._who: dict[str, Any] = {}
        # The server refuses root, and its folder's parents must be open to whoever it runs as.
        self.folder = Path(tempfile.mkdtemp(prefix="wnet-pg-"))
        if os.getuid() == 0:
            names = {entry.pw_name: entry for entry in pwd.getpwall()}
            user = names.get("postgres") or names["nobody"]
            self._who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        self._control = [
            str(Path(initdb).with_name("pg_ctl")),
            "-D",
            str(self.folder / "data"),
            "-s",
            "-w",
            "-t",
            "120",
        ]
        make = [initdb, "-D", str(self.folder / "data"), "-U", "wnet", "-A", "trust", "-E", "UTF8", "--locale=C"]
        subprocess.run([*make, "--no-sync"], check=True, capture_output=True, cwd=self.folder, **self._who)

    @property
    def url(self) -> str:
        """The SQLAlchemy URL of its one database."""
        return f"postgresql+psycopg://wnet@/postgres?host={self.folder}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-k {self.folder} -c listen_addresses= -c shared_buffers=16MB -c max_connections=40"
        self._run("-l", str(self.folder / "log"), "-o", options, "start")

    def restart(self, how: str) -> None:
        """`fast` ends every connection and restarts; `immediate` is a crash, with recovery."""
        self._run("-m", how, "stop")
        self.start()

    def remove(self) -> None:
        """Stop it, and leave nothing behind."""
        try:
            self._run("-m", "immediate", "stop")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, *arguments: str) -> None:
        subprocess.run(
            [*self._control, *arguments], check=True, cwd=self.folder, stdout=subprocess.DEVNULL, **self._who
        )
