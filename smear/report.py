"""The JSON object of a slide, as `worker classify --json` and `worker results --json` alike print it.

Outside programs rely on its keys: keys are added, never changed without a line in the CHANGELOG.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from smear.cells import CELL_TYPES


CELL_COUNTS: Final = ("total", "classified", "outside", "misfit", "unreadable")
#: States in which a differential is there or is withheld.
FINISHED: Final = frozenset({"classified", "reviewed", "signed"})


@dataclass(frozen=True)
class SignedResult:
    """What a person signed, and who: the latest signature of a revision. Times are ISO 8601 in UTC.

    `amended` says that it replaced an earlier signature; `amending` that the slide is open again and this one still
    stands until the next.
    """

    counts: Mapping[str, int]
    percent: Mapping[str, float] | None
    ci95: Mapping[str, Sequence[float]] | None
    signed_by: str
    signed_at: str
    countersigned_by: str | None = None
    countersigned_at: str | None = None
    amended: bool = False
    amending: bool = False
    flags: Sequence[Mapping[str, Any]] | None = None


def engine_and_precision(backend: str | None) -> tuple[str | None, str | None]:
    """The parts of a backend's name: `openvino-fp32` is ("openvino", "fp32")."""
    engine, _, precision = (backend or "").rpartition("-")
    return (engine, precision) if engine else (backend, None)


def withheld(state: str, percent: Mapping[str, float] | None) -> str | None:
    """Why a slide has no percentages: "not blood", "few cells"; None where it has them, or is not finished."""
    if state == "listed":
        return "not blood"
    return "few cells" if state in FINISHED and percent is None else None


def slide_object(
    *,
    source: str,
    slide_id: str,
    revision: int,
    state: str,
    cells: Mapping[str, int] | None = None,
    files: int | None = None,
    expected_cells: int | None = None,
    complete: bool | None = None,
    counts: Mapping[str, int] | None = None,
    percent: Mapping[str, float] | None = None,
    ci95: Mapping[str, Sequence[float]] | None = None,
    signed: SignedResult | None = None,
    problems: Sequence[Mapping[str, str]] = (),
    bundle: str | None = None,
    backend: str | None = None,
    prior_adjusted: Mapping[str, float] | None = None,
    prior_adjusted_ci95: Mapping[str, Sequence[float]] | None = None,
    needs_review: int | None = None,
    flags: Sequence[Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """One slide. `counts`, `percent` and `ci95` (per cent) are the model's; per cents are null where withheld.

    With `signed` the top level reports what was signed, and `model` keeps the model's. `files` is how many
    picture files came, `complete` is null where no number of cells is expected. `prior_adjusted` is the model's
    differential corrected for label shift (smear/correction.py), `needs_review` how many cells a person should look at,
    `flags` what the reference intervals say of the reported numbers (smear/flags.py); null where unknown. Where the
    reported per cents are withheld, the object holds no per cents and no flags at all.
    """
    model = _numbers(counts, percent, ci95)
    reported = model if signed is None else _numbers(signed.counts, signed.percent, signed.ci95)
    if signed is not None:
        flags = signed.flags
    if reported["percent"] is None:
        model |= {"percent": None, "ci95": None}
        flags = None if flags is None else []
    if model["percent"] is None:
        prior_adjusted = prior_adjusted_ci95 = None
    engine, precision = engine_and_precision(backend)
    return {
        "source": source,
        "slide_id": slide_id,
        "revision": revision,
        "state": state,
        "cells": {name: (cells or {}).get(name, 0) for name in CELL_COUNTS},
        "files": files,
        "expected_cells": expected_cells,
        "complete": complete,
        **reported,
        "reported_by": "model" if signed is None else "signature",
        "signed_by": None if signed is None else signed.signed_by,
        "signed_at": None if signed is None else signed.signed_at,
        "countersigned_by": None if signed is None else signed.countersigned_by,
        "countersigned_at": None if signed is None else signed.countersigned_at,
        "amended": signed is not None and signed.amended,
        "amending": signed is not None and signed.amending,
        "model": model,
        "prior_adjusted": None if prior_adjusted is None else dict(prior_adjusted),
        "prior_adjusted_ci95": _limits(prior_adjusted_ci95),
        "withheld": withheld(state, reported["percent"]),
        "needs_review": needs_review,
        "flags": None if flags is None else [dict(flag) for flag in flags],
        "problems": [dict(problem) for problem in problems],
        "bundle": bundle,
        "engine": engine,
        "precision": precision,
        "backend": backend,
    }


def _numbers(
    counts: Mapping[str, int] | None,
    percent: Mapping[str, float] | None,
    ci95: Mapping[str, Sequence[float]] | None,
) -> dict[str, Any]:
    return {
        "counts": {cell_type: (counts or {}).get(cell_type, 0) for cell_type in CELL_TYPES},
        "percent": None if percent is None else dict(percent),
        "ci95": None if percent is None else _limits(ci95),
    }


def _limits(ci95: Mapping[str, Sequence[float]] | None) -> dict[str, list[float]] | None:
    return None if ci95 is None else {cell_type: list(limits) for cell_type, limits in ci95.items()}
