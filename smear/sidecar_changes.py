"""What changed of a slide's sidecar after a signature, in words: what was signed stays, and everybody is shown that."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final


_NAMES: Final = {
    "wbc_10e9_L": "WBC",
    "order_id": "order",
    "specimen": "specimen",
    "scanned_at": "scan time",
    "stain": "stain",
    "expected_cells": "expected cells",
}


def changes_since(changes: Iterable[Mapping[str, Any]] | None, signed_at: datetime) -> str | None:
    """What changed after that time, as "WBC 5.1 → 6.0"; None where nothing did.

    `changes` are a revision's `changed_after_signing`: {"at", "before", "after"}, oldest first.
    """
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for change in changes or []:
        if datetime.fromisoformat(change["at"]) > signed_at:
            before = {**change["before"], **before}
            after |= change["after"]
    return in_words(before, after) or None


def in_words(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Fields of a sidecar that differ, one after the other."""
    return ", ".join(
        f"{_NAMES.get(name, name)} {_value(before[name])} → {_value(after.get(name))}"
        for name in before
        if before[name] != after.get(name)
    )


def _value(value: Any) -> str:
    return "none" if value is None else str(value)
