"""How things look in templates: ages, bars, names of types; and the one template environment, escaping everything."""

import hashlib
from datetime import datetime, tzinfo
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from review import picture
from review.picture import panels
from review.roles import EXPLAINED, ROLES
from review.slide import Rules
from smear.cells import CELL_TYPES
from smear.kinds import KINDS, OUTSIDE, shown
from smear.local_time import show
from smear.report import engine_and_precision
from smear.tables import utc_now


HERE: Final = Path(__file__).parent
STATIC: Final = HERE / "static"

MODULES: Final = frozenset(
    {"page.js", "board.js", "slide.js", "gallery.js", "inspector.js", "signing.js", "references.js"}
)

#: Headings of the gallery, and the keys that put a cell there.
HEADINGS: Final[dict[str, str]] = {
    "neutrophil": "Neutrophils",
    "eosinophil": "Eosinophils",
    "basophil": "Basophils",
    "lymphocyte": "Lymphocytes",
    "monocyte": "Monocytes",
    OUTSIDE: "Other cells",
    "unusable": "Could not be classified",
}
KEYS: Final[dict[str, str]] = {**{t: str(i) for i, t in enumerate(CELL_TYPES, start=1)}, OUTSIDE: "0"}
STATE_WORDS: Final[dict[str, str]] = {
    "arriving": "arriving",
    "queued": "waiting",
    "classified": "to review",
    "reviewed": "in review",
    "signed": "signed",
    "failed": "failed",
    "listed": "not blood",
}


#: What a signature says, by its meaning.
SIGNED_WORDS: Final[dict[str, str]] = {
    "signed": "signed",
    "second": "countersigned",
    "amended": "signed the amendment",
}


def age(seconds: float | None) -> str:
    """A duration as a person says it."""
    if seconds is None:
        return "-"
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def ago(then: datetime) -> str:
    """How long ago."""
    return f"{age(max((utc_now() - then).total_seconds(), 0.0))} ago"


@cache
def static_url(name: str) -> str:
    """The address of a static file; it changes with the file, so that browsers may keep it for ever.

    Not so for modules, which import each other by their plain names: one module under two addresses would run twice.
    Names in vendor/ carry their version.
    """
    if name in MODULES or name.startswith("vendor/"):
        return f"/static/{name}"
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:10]
    return f"/static/{name}?v={digest}"


def bar(counts: dict[str, int] | None, width: float = 100.0) -> list[tuple[str, float, float]]:
    """A stacked bar: (type, x, width) of each type that is there."""
    total = sum((counts or {}).values())
    at = 0.0
    found: list[tuple[str, float, float]] = []
    for cell_type in CELL_TYPES:
        share = (counts or {}).get(cell_type, 0) / total * width if total else 0.0
        if share:
            found.append((cell_type, round(at, 3), round(share, 3)))
        at += share
    return found


def environment(rules: Rules, zone: tzinfo) -> Environment:
    """Jinja's environment: everything escaped, an unknown name is an error."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"age": age, "ago": ago, "at": partial(show, zone=zone), "bar": bar, "panels": panels}
    made.globals |= _globals(rules) | {"zone": str(zone)}
    return made


def _globals(rules: Rules) -> dict[str, Any]:
    return {
        "static": static_url,
        "CELL_TYPES": CELL_TYPES,
        "HEADINGS": HEADINGS,
        "KEYS": KEYS,
        "KINDS": KINDS,
        "STATE_WORDS": STATE_WORDS,
        "SIGNED_WORDS": SIGNED_WORDS,
        "ROLES": ROLES,
        "ROLES_EXPLAINED": EXPLAINED,
        "OUTSIDE": OUTSIDE,
        "shown": shown,
        "engine_and_precision": engine_and_precision,
        "rules": rules,
        "picture": picture,
    }
