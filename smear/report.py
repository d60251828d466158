"""The JSON object of a slide, as `worker classify --json` and `worker results --json` alike print it.

Outside programs rely on its keys: they are added to, never changed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from smear.cells import CELL_TYPES


CELL_COUNTS = ("total", "classified", "outside", "misfit", "unreadable")


def slide_object(
    *,
    source: str,
    slide_id: str,
    revision: int,
    state: str,
    cells: Mapping[str, int] | None = None,
    counts: Mapping[str, int] | None = None,
    percent: Mapping[str, float] | None = None,
    ci95: Mapping[str, Sequence[float]] | None = None,
    problems: Sequence[Mapping[str, str]] = (),
    bundle: str | None = None,
    backend: str | None = None,
    corrected: Mapping[str, float] | None = None,
    corrected_ci95: Mapping[str, Sequence[float]] | None = None,
    needs_review: int | None = None,
    flags: Sequence[Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """One slide; `percent` and `ci95` (per cent) are null where a differential is withheld or not there yet.

    `corrected` and `corrected_ci95` are the same corrected for label shift (smear/correction.py), `needs_review` how
    many cells a person should look at, `flags` what the reference intervals say (smear/flags.py); null where unknown.
    """
    return {
        "source": source,
        "slide_id": slide_id,
        "revision": revision,
        "state": state,
        "cells": {name: (cells or {}).get(name, 0) for name in CELL_COUNTS},
        "counts": {cell_type: (counts or {}).get(cell_type, 0) for cell_type in CELL_TYPES},
        "percent": None if percent is None else dict(percent),
        "ci95": None if ci95 is None else {cell_type: list(limits) for cell_type, limits in ci95.items()},
        "problems": [dict(problem) for problem in problems],
        "bundle": bundle,
        "backend": backend,
        "corrected": None if corrected is None else dict(corrected),
        "corrected_ci95": None if corrected_ci95 is None else {t: list(limits) for t, limits in corrected_ci95.items()},
        "needs_review": needs_review,
        "flags": None if flags is None else [dict(flag) for flag in flags],
    }
