"""The laboratory's reference intervals: what a differential is flagged against. A JSON file (WNET_INTERVALS), or ours.

Ours are for adults: per cent after Dacie and Lewis, absolute counts after Henry. A laboratory sets its own.
"""

import hashlib
import json
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from smear.cells import CELL_TYPES
from smear.plain import PlainError


_MAX_BYTES: Final = 64 * 1024


class BadIntervals(PlainError):
    """Reference intervals that cannot be used; its text names the file and what is wrong."""


class Intervals(BaseModel):
    """Low and high by cell type: `percent` of the five, `absolute` in 10^9 cells a litre."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    percent: dict[str, tuple[float, float]]
    absolute: dict[str, tuple[float, float]]

    @model_validator(mode="after")
    def _five_each(self) -> "Intervals":
        for what, found in (("percent", self.percent), ("absolute", self.absolute)):
            if set(found) != set(CELL_TYPES):
                raise ValueError(f"{what}: it needs exactly {', '.join(CELL_TYPES)}")
            for cell_type, (low, high) in found.items():
                if not 0 <= low < high:
                    raise ValueError(f"{what}, {cell_type}: {low} to {high} is no interval")
        return self

    @property
    def version(self) -> str:
        """Its name and the first 8 digits of a SHA-256 over its numbers: what signatures and the audit carry."""
        numbers = json.dumps([self.percent, self.absolute], sort_keys=True).encode()
        return f"{self.name}@{hashlib.sha256(numbers).hexdigest()[:8]}"


ADULT: Final = Intervals(
    name="adult",
    percent={
        "neutrophil": (40, 80),
        "eosinophil": (1, 6),
        "basophil": (0, 2),
        "lymphocyte": (20, 40),
        "monocyte": (2, 10),
    },
    absolute={
        "neutrophil": (1.8, 7.8),
        "eosinophil": (0, 0.45),
        "basophil": (0, 0.20),
        "lymphocyte": (1.0, 4.8),
        "monocyte": (0, 0.80),
    },
)


def load_intervals(path: Path | None) -> Intervals:
    """The intervals in that JSON file, or ours without one; raises BadIntervals."""
    if path is None:
        return ADULT
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise BadIntervals(f"WNET_INTERVALS: {path}: {error.strerror}") from None
    try:
        return Intervals.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadIntervals(
            f"WNET_INTERVALS: {path}: {where} {first['msg'].removeprefix('Value error, ')}".replace(":  ", ": ")
        ) from None
