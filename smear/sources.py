"""The named roots under watch, from the settings that say where, laid out how, of which geometry, how urgent."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from smear.geometry import profile
from smear.layout import layout


#: As the table of sources holds it.
MAX_SOURCE_NAME: Final = 64
MAX_PRIORITY: Final = 1000

_NAMED: Final = re.compile(r"\s*[A-Za-z0-9_-]+=")
#: A comma parts two entries only before another name: patterns of layout `flat` may hold commas of their own.
_NEXT: Final = re.compile(r",(?=\s*[A-Za-z0-9_-]+=)")

Value = TypeVar("Value")


@dataclass(frozen=True)
class Source:
    """A named root folder into which an analyser exports slides. The source of higher priority goes first."""

    name: str
    root: Path
    layout: str
    geometry: str
    priority: int = 0


def absolute(path: Path) -> Path:
    """A path as it stands in the settings, from the root; ValueError where it begins with the home of nobody."""
    try:
        return path.expanduser().absolute()
    except RuntimeError:
        raise ValueError(f"there is no home folder to begin with: {path}") from None


def layout_name(text: str) -> str:
    """A layout as it stands in the settings; ValueError says what is wrong with it."""
    return layout(text.strip()).name


def geometry_name(text: str) -> str:
    """A geometry profile as it stands in the settings; ValueError says what is wrong with it."""
    return profile(text.strip()).name


def priority_of(text: str) -> int:
    """A priority: 0 is the ordinary one, less waits for others, more overtakes them."""
    if re.fullmatch(r"\s*[+-]?\d{1,5}\s*", text) is None or abs(int(text)) > MAX_PRIORITY:
        raise ValueError(f"a priority is a whole number from -{MAX_PRIORITY} to {MAX_PRIORITY}, not {text.strip()!r}")
    return int(text)


def by_source(text: str, convert: Callable[[str], Value]) -> tuple[Value | None, dict[str, Value]]:
    """`value` for all, or `name=value,name=value` for some: (for all, by name). Raises ValueError."""
    if _NAMED.match(text) is None:
        return convert(text), {}
    pairs = [part.strip().split("=", 1) for part in _NEXT.split(text)]
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise ValueError(f"a source is named twice: {text}")
    return None, {name: convert(value) for name, value in pairs}


def parse_sources(drop: str, default_drop: Path, layouts: str, geometries: str, priorities: str) -> tuple[Source, ...]:
    """The sources that WNET_DROP, WNET_LAYOUT, WNET_GEOMETRY and WNET_PRIORITY describe together; raises ValueError.

    Its text names the variable where it is another than WNET_DROP.
    """
    pairs = _drop_folders(drop.strip() or str(default_drop))
    names = [name for name, _ in pairs]
    laid_out = _told("WNET_LAYOUT", layouts, layout_name, names, "slides")
    shaped = _told("WNET_GEOMETRY", geometries, geometry_name, names, "di60")
    urgent = _told("WNET_PRIORITY", priorities, priority_of, names, 0)
    return tuple(Source(name, root, laid_out[name], shaped[name], urgent[name]) for name, root in pairs)


def _told(
    variable: str, text: str, convert: Callable[[str], Value], names: list[str], default: Value
) -> dict[str, Value]:
    for_all, by_name = by_source(text, convert)
    if unknown := sorted(by_name.keys() - set(names)):
        raise ValueError(f"{variable}: WNET_DROP names no source {unknown[0]}; there are: {', '.join(names)}")
    return {name: by_name.get(name, default if for_all is None else for_all) for name in names}


def absolute_drop(text: str, folder: Path) -> str:
    """WNET_DROP with its relative paths made absolute from a folder."""
    pairs, named = _named_paths(text)
    rebased = [(name, path if path.startswith("~") else str(folder / path)) for name, path in pairs]
    return ",".join(f"{name}={path}" for name, path in rebased) if named else rebased[0][1]


def _named_paths(text: str) -> tuple[list[list[str]], bool]:
    """(name, path) of each entry of WNET_DROP, and whether they are named."""
    # One path may itself contain "=" or ","; only names before every "=" make it a list.
    parts = text.split(",")
    named = all(_NAMED.match(part) for part in parts)
    return [part.strip().split("=", 1) for part in parts] if named else [["default", text]], named


def _drop_folders(text: str) -> list[tuple[str, Path]]:
    """WNET_DROP: `path`, or `name=path,name=path`."""
    pairs, _ = _named_paths(text)
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise ValueError(f"a source is named twice: {text}")
    for name, path in pairs:
        if not path.strip():
            raise ValueError(f"source {name} has no folder: {text}")
        if len(name) > MAX_SOURCE_NAME:
            raise ValueError(f"the name of a source has at most {MAX_SOURCE_NAME} letters: {name}")
    roots = [Path(os.path.normpath(absolute(Path(path)))) for _, path in pairs]
    for root in roots:
        if any(other != root and other.is_relative_to(root) for other in roots) or roots.count(root) > 1:
            raise ValueError(f"the sources overlap at {root}")
    return list(zip(names, roots, strict=True))
