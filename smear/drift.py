"""Control limits over the daily record of drift: what a source's latest day shows that the days before did not."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
from sqlmodel import Session, col, select

from smear.nightly_tables import DriftRow
from smear.tables import SourceRow, key


#: Days before that limits are drawn from, and how many there must be.
WINDOW_DAYS: Final = 30
MIN_DAYS: Final = 7
#: Shewhart's three deviations; a deviation is never taken for smaller than this, by measure.
_DEVIATIONS: Final = 3.0
_FLOORS: Final = {"confidence": 0.01, "outside": 0.005, "lightness": 1.5, "a": 1.0, "b": 1.0, "mix": 0.02}
#: An alarm is of the last days, not of last month.
NEWS_DAYS: Final = 3


@dataclass(frozen=True)
class Alarm:
    """A measure of a source's latest day outside its control limits."""

    source: str
    day: str
    measure: str
    value: float
    low: float
    high: float

    @property
    def sentence(self) -> str:
        """For `worker status` and the page."""
        return (
            f"drift of {self.source} on {self.day}: {self.measure} is {self.value:.3g}, usually {self.low:.3g} to"
            f" {self.high:.3g}"
        )


def alarms(session: Session, today: date) -> list[Alarm]:
    """What is unusual about each source's latest day. Only days under one bundle are compared."""
    since = (today - timedelta(days=WINDOW_DAYS)).isoformat()
    rows = session.exec(select(DriftRow).where(DriftRow.day >= since).order_by(col(DriftRow.day))).all()
    names = {key(row.id): row.name for row in session.exec(select(SourceRow))}
    by_source: dict[int, list[DriftRow]] = defaultdict(list)
    for row in rows:
        by_source[row.source].append(row)
    found: list[Alarm] = []
    for source, of_source in sorted(by_source.items()):
        latest = of_source[-1]
        if latest.day < (today - timedelta(days=NEWS_DAYS)).isoformat():
            continue
        before = [row for row in of_source if row.day < latest.day]
        found += _of_day(names.get(source, "?"), latest, before)
    return found


def measures(row: DriftRow) -> dict[str, float]:
    """Every figure of a day that has limits, by name."""
    told: dict[str, float] = {"confidence": row.confidence, "outside the five": row.outside}
    told |= {f"share of {name}s": share for name, share in row.mix.items()}
    return told | {f"stain colour, {name}": value for name, value in (row.colour or {}).items()}


def limits(name: str, values: Sequence[float]) -> tuple[float, float]:
    """Mean and three deviations either side, over the days before."""
    kind = name.rpartition(", ")[2] if "colour" in name else "mix" if "share" in name else name.split(maxsplit=1)[0]
    deviation = max(float(np.std(values, ddof=1)), _FLOORS[kind])
    centre = float(np.mean(values))
    return centre - _DEVIATIONS * deviation, centre + _DEVIATIONS * deviation


def _of_day(source: str, latest: DriftRow, before: Sequence[DriftRow]) -> list[Alarm]:
    usual = usual_limits(latest, before)
    return [
        Alarm(source, latest.day, name, value, *usual[name])
        for name, value in measures(latest).items()
        if name in usual and not usual[name][0] <= value <= usual[name][1]
    ]


def usual_limits(latest: DriftRow, before: Sequence[DriftRow]) -> dict[str, tuple[float, float]]:
    """Control limits of each measure of a day, from the days before; of those only that have enough of them."""
    history: dict[str, list[float]] = defaultdict(list)
    for row in before:
        for name, value in measures(row).items():
            # The pictures' colour is the pictures' own; all else depends on who reads them.
            if row.bundle == latest.bundle or "colour" in name:
                history[name].append(value)
    return {name: limits(name, values) for name, values in history.items() if len(values) >= MIN_DAYS}


def table(session: Session, today: date) -> list[dict[str, Any]]:
    """The latest day of each source, each measure with its control limits; None where too few days are known."""
    since = (today - timedelta(days=WINDOW_DAYS)).isoformat()
    rows = session.exec(select(DriftRow).where(DriftRow.day >= since).order_by(col(DriftRow.day))).all()
    names = {key(row.id): row.name for row in session.exec(select(SourceRow))}
    latest = {row.source: row for row in rows}
    told = []
    for source, row in sorted(latest.items()):
        usual = usual_limits(row, [one for one in rows if one.source == source and one.day < row.day])
        found = [{"name": name, "value": value, "limits": usual.get(name)} for name, value in measures(row).items()]
        told.append({"source": names.get(source, "?"), "day": row.day, "cells": row.cells, "measures": found})
    return told
