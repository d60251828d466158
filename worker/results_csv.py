"""`worker results --csv`: a slide's JSON object as one row of a spreadsheet."""

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any, Final

from smear.cells import CELL_TYPES
from smear.report import CELL_COUNTS
from smear.spreadsheet import inert


def _per_cents(prefix: str) -> tuple[str, ...]:
    ends = (f"{prefix}{t}_{end}" for t in CELL_TYPES for end in ("low95", "high95"))
    return (*(f"{prefix}{t}_percent" for t in CELL_TYPES), *ends)


_PLAIN: Final = (
    "files", "expected_cells", "complete", "reported_by", "signed_by", "countersigned_by", "amended", "amending",
    "withheld", "needs_review", "engine", "precision",
)  # fmt: skip
_TIMES: Final = ("signed_at", "countersigned_at")

CSV_COLUMNS: Final = (
    "source", "slide_id", "revision", "state", *CELL_COUNTS, *CELL_TYPES, *_per_cents(""),
    "problems", "bundle", "backend",
    "files", "expected_cells", "complete", "reported_by", "signed_by", "signed_at", "countersigned_by",
    "countersigned_at", "amended", "amending", "withheld", "needs_review", "flags", "engine", "precision",
    *(f"model_{t}" for t in CELL_TYPES), *_per_cents("model_"), *_per_cents("prior_adjusted_"),
)  # fmt: skip


def csv_row(slide: Mapping[str, Any], zone: tzinfo) -> dict[str, Any]:
    """A slide's JSON object as one row of CSV_COLUMNS, safe to open in a spreadsheet.

    `problems` is their number, `flags` their names, times are ISO with the offset of `zone`; unknown is blank.
    """
    row = {name: slide[name] for name in ("source", "slide_id", "revision", "state", "bundle", "backend", *_PLAIN)}
    row |= {name: str(value).lower() for name, value in row.items() if isinstance(value, bool)}
    row |= {name: _local(slide[name], zone) for name in _TIMES}
    row |= slide["cells"] | slide["counts"]
    row |= {f"model_{cell_type}": n for cell_type, n in slide["model"]["counts"].items()}
    row |= _shares("", slide["percent"], slide["ci95"])
    row |= _shares("model_", slide["model"]["percent"], slide["model"]["ci95"])
    row |= _shares("prior_adjusted_", slide["prior_adjusted"], slide["prior_adjusted_ci95"])
    row |= {"problems": len(slide["problems"]), "flags": "; ".join(flag["flag"] for flag in slide["flags"] or [])}
    return inert(row)


def _shares(prefix: str, percent: Mapping[str, float] | None, ci95: Mapping[str, Any] | None) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for cell_type in CELL_TYPES:
        row[f"{prefix}{cell_type}_percent"] = (percent or {}).get(cell_type)
        low, high = (ci95 or {}).get(cell_type, (None, None))
        row |= {f"{prefix}{cell_type}_low95": low, f"{prefix}{cell_type}_high95": high}
    return row


def _local(at: str | None, zone: tzinfo) -> str | None:
    return None if at is None else datetime.fromisoformat(at).astimezone(zone).isoformat(timespec="seconds")
