"""systemd's unit files as data: sections of (key, value) pairs, since keys repeat."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from command_lines import PROJECT


SYSTEMD = PROJECT / "deploy" / "systemd"
UNITS = SYSTEMD / "units"
#: Where deploy/README.md installs the project.
HOME = "/opt/wnet-worker/"


@dataclass(frozen=True)
class Unit:
    """One unit file, or one drop-in."""

    path: Path
    pairs: tuple[tuple[str, str, str], ...]

    def all(self, section: str, key: str) -> list[str]:
        """Every value of a key, in order."""
        return [value for s, k, value in self.pairs if (s, k) == (section, key)]

    def one(self, section: str, key: str) -> str:
        """The value of a key that stands there once."""
        (value,) = self.all(section, key)
        return value

    @property
    def process(self) -> str:
        """wnet-worker@.service -> worker."""
        return self.path.stem.removeprefix("wnet-").rstrip("@")

    @property
    def command(self) -> str:
        """What it starts, as the Procfile writes it."""
        line = self.one("Service", "ExecStart")
        return line.replace(f"{HOME}.venv/bin/", "").replace(HOME, "")

    @property
    def environment(self) -> dict[str, str]:
        """Its own Environment= variables."""
        words = (word for value in self.all("Service", "Environment") for word in shlex.split(value))
        return dict(word.split("=", 1) for word in words)


def read_unit(path: Path) -> Unit:
    """Parse a file; a line that is neither section, pair, comment nor blank is an error."""
    pairs, section = [], ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        if match := re.fullmatch(r"\[(\w+)\]", line):
            section = match[1]
        else:
            match = re.fullmatch(r"(\w+)=(.*)", line)
            assert match is not None, f"{path.name}: {line}"
            assert section, f"{path.name}: {line}"
            pairs.append((section, match[1], match[2]))
    return Unit(path, tuple(pairs))


def services() -> dict[str, Unit]:
    """Process name -> unit, of every service."""
    return {unit.process: unit for unit in map(read_unit, sorted(UNITS.glob("*.service")))}


def drop_ins() -> list[Unit]:
    """Every drop-in, also those that only some installations take."""
    return [read_unit(path) for path in sorted(SYSTEMD.rglob("*.conf")) if path.parent.name.endswith(".d")]


def sandbox() -> Unit:
    """What all services share."""
    return read_unit(UNITS / "wnet-.service.d" / "10-sandbox.conf")
