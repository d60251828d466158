"""Drift: what each source's pictures were like day by day, and whether today lies outside what was usual."""

import io
from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import cv2
import numpy as np
from PIL import Image
from sqlalchemy import func
from sqlmodel import Session, col, select

from smear.cells import CELL_TYPES
from smear.drift import Alarm, alarms
from smear.nightly_tables import DriftRow
from smear.picture_store import NotKept, PictureStore
from smear.store import Store
from smear.tables import CellRow, PredictionRow, RevisionRow, SlideRow, key, utc_now
from smear.upsert import insert_or_update


#: Fewer classified cells a day say too little.
MIN_CELLS: Final = 100
#: Pictures whose colour is measured, a day and source: spread over all.
_COLOURED: Final = 60


def note(store: Store, pictures: PictureStore, today: date) -> int:
    """Write down the days up to today that have no final record yet (yesterday and today); how many rows."""
    rows: list[dict[str, Any]] = []
    for day in (today - timedelta(days=1), today):
        with store.read() as session:
            rows += _day(session, pictures, day)
    with store.write() as session:
        insert_or_update(session, DriftRow, rows, unique=["day", "source", "bundle"])
    return len(rows)


def current(session: Session) -> list[Alarm]:
    """What is unusual about each source's latest day, in words."""
    return alarms(session, utc_now().date())


def _day(session: Session, pictures: PictureStore, day: date) -> list[dict[str, Any]]:
    begin = datetime.combine(day, time(), UTC)
    query = (
        select(SlideRow.source_id, PredictionRow, CellRow.sha256)
        .join(CellRow, col(CellRow.slide) == col(SlideRow.id))
        .join(PredictionRow, col(PredictionRow.cell) == col(CellRow.id))
        .where(
            col(SlideRow.id).in_(
                select(RevisionRow.slide).where(
                    col(RevisionRow.finished_at) >= begin, col(RevisionRow.finished_at) < begin + timedelta(days=1)
                )
            ),
            col(PredictionRow.state).in_(["classified", "outside"]),
        )
        .order_by(col(CellRow.sha256))
    )
    found: dict[tuple[int, int], list[tuple[PredictionRow, str]]] = defaultdict(list)
    for source, prediction, digest in session.exec(query):
        found[key(source), prediction.bundle].append((prediction, digest))
    return [
        _row(day, source, bundle, cells, pictures)
        for (source, bundle), cells in sorted(found.items())
        if len(cells) >= MIN_CELLS
    ]


def _row(
    day: date, source: int, bundle: int, cells: list[tuple[PredictionRow, str]], pictures: PictureStore
) -> dict[str, Any]:
    told = np.array([[getattr(row, f"p_{t}") or 0.0 for t in CELL_TYPES] for row, _ in cells])
    inside = np.array([row.state == "classified" for row, _ in cells])
    types = told[inside].argmax(1) if inside.any() else np.empty(0, np.int64)
    counted = np.bincount(types, minlength=len(CELL_TYPES)) / max(len(types), 1)
    return {
        "day": day.isoformat(), "source": source, "bundle": bundle, "cells": len(cells),
        "mix": {t: round(float(share), 5) for t, share in zip(CELL_TYPES, counted, strict=True)},
        "confidence": round(float(told.max(1).mean()), 5),
        "outside": round(float(1 - inside.mean()), 5),
        "colour": _colour([digest for _, digest in cells], pictures),
    }  # fmt: skip


def _colour(digests: list[str], pictures: PictureStore) -> dict[str, float] | None:
    """Mean lightness, a and b (CIE Lab, as OpenCV scales it for 8 bits) of the stained pixels of some pictures."""
    means = []
    for digest in digests[:: max(1, len(digests) // _COLOURED)][:_COLOURED]:
        try:
            with Image.open(io.BytesIO(pictures.get(digest))) as image:
                image.draft("RGB", (90, 90))
                small = np.asarray(image.convert("RGB").resize((90, 90)))
        except (NotKept, OSError, ValueError):
            continue
        lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).reshape(-1, 3)
        # The darker half: cells rather than the empty field around them.
        means.append(lab[lab[:, 0] <= np.median(lab[:, 0])].mean(axis=0))
    if not means:
        return None
    lightness, a, b = np.mean(means, axis=0)
    return {"lightness": round(float(lightness), 2), "a": round(float(a), 2), "b": round(float(b), 2)}


def days(session: Session) -> int:
    """How many days are written down."""
    return int(session.exec(select(func.count(func.distinct(DriftRow.day)))).one())
