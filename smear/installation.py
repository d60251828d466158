"""Where this installation keeps its state: recorded for its user, so that commands find it from any folder.

The record lies in the user's XDG state folder, apart by virtual environment, so that two installations of one user
never mix. It holds paths alone. WNET_VAR always counts more.
"""

import contextlib
import json
import os
import secrets
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dotenv import dotenv_values

from smear.sources import absolute_drop


if TYPE_CHECKING:
    from smear.settings import Settings

#: How a sentence begins that says where there is no database.
NO_DATABASE_AT: Final = "there is no database at"
#: The latest first; one whose folder is gone is passed over.
_REMEMBERED: Final = 5
#: What a state folder has once it was prepared. `/var` has none of it.
_SIGNS: Final = ("wnet.sqlite", "models", "engines")
#: Settings that are paths: in a recorded `.env` they are relative to that file's folder.
_PATHS: Final = ("models", "pictures", "intervals", "base_data")


@dataclass(frozen=True)
class Installation:
    """A state folder, and the folder that its service was started in, where its `.env` may lie."""

    var: Path
    folder: Path


def record_file() -> Path | None:
    """Where installations are recorded; None for a user without a home."""
    given = os.environ.get("XDG_STATE_HOME", "")
    try:
        state = Path(given) if Path(given).is_absolute() else Path.home() / ".local" / "state"
    except RuntimeError:
        return None
    return state / "wnet-worker" / "installations.json"


def is_prepared(var: Path) -> bool:
    """Whether a folder is a state folder in use."""
    return any((var / sign).exists() for sign in _SIGNS)


def record(var: Path, folder: Path) -> None:
    """Remember a state folder as this virtual environment's latest. A home that cannot be written to is no error."""
    file = record_file()
    if file is None:
        return
    found = [one for one in _recorded() if one.var != var]
    ours = [{name: str(path) for name, path in asdict(one).items()} for one in (Installation(var, folder), *found)]
    with contextlib.suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
        temporary.write_text(json.dumps(_all(file) | {sys.prefix: ours[:_REMEMBERED]}, indent=2), encoding="utf-8")
        temporary.replace(file)


def remember(settings: "Settings") -> None:
    """Record what was prepared in this folder, unless it was found by its record: that has the folder of its `.env`."""
    if not settings.from_record:
        record(settings.var, Path.cwd())


def elsewhere(settings: "Settings") -> Installation | None:
    """The recorded installation where these settings mean none: nothing names its state folder, none lies here."""
    named = "var" in settings.model_fields_set
    return None if named or is_prepared(settings.var) or has_own_settings(Path.cwd()) else find()


def explained(problem: str, settings: "Settings") -> str:
    """What is wrong with the database; where there is none, also where else it was looked for."""
    missing = problem.startswith(NO_DATABASE_AT) and "var" not in settings.model_fields_set
    return f"{problem}{where_else()}" if missing else problem


def find() -> Installation | None:
    """The latest recorded installation of this virtual environment that is still there."""
    return next((one for one in _recorded() if is_prepared(one.var)), None)


def has_own_settings(folder: Path) -> bool:
    """Whether a folder's `.env` makes it an installation's own."""
    return any(name.upper().startswith("WNET_") for name in _env(folder))


def settings_of(found: Installation) -> dict[str, Any]:
    """What `Settings` is given to be what it is in the installation's own folder: its `.env`, with absolute paths."""
    given: dict[str, Any] = {"var": found.var, "_env_file": found.folder / ".env"}
    told = {name.upper(): value for name, value in _env(found.folder).items() if value}
    for name in _PATHS:
        variable = f"WNET_{name.upper()}"
        if variable in told and not os.environ.get(variable) and not told[variable].startswith("~"):
            given[name] = found.folder / told[variable]
    if "WNET_DROP" in told and not os.environ.get("WNET_DROP"):
        given["drop"] = absolute_drop(told["WNET_DROP"], found.folder)
    return given


def where_else() -> str:
    """Where else a state folder was looked for than at the default, as the end of a sentence about what is missing."""
    file = record_file()
    if file is None:
        return "; no other is recorded: this user has no home folder"
    names = ", ".join(str(one.var) for one in _recorded())
    return f"; looked also in {names}, which {file} names" if names else f"; none is recorded in {file}"


def _env(folder: Path) -> dict[str, str | None]:
    try:
        return dict(dotenv_values(folder / ".env"))
    except (OSError, UnicodeDecodeError):
        return {}  # who reads it as settings says what is wrong with it


def _all(file: Path) -> dict[str, Any]:
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _recorded() -> list[Installation]:
    file = record_file()
    listed = _all(file).get(sys.prefix) if file is not None else None
    return [
        Installation(Path(one["var"]), Path(one["folder"]))
        for one in (listed if isinstance(listed, list) else [])
        if isinstance(one, dict) and all(str(one.get(name)).startswith("/") for name in ("var", "folder"))
    ]
