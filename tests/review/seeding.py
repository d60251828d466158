"""Slides as a worker would have left them, written straight as rows, with pictures in the store."""

import hashlib
from datetime import timedelta
from pathlib import Path

from sqlalchemy import text
from sqlmodel import select

from review.passwords import Passwords
from review.slide import Rules
from smear.cells import CELL_TYPES
from smear.differential import differential
from smear.flags import flags
from smear.intervals import ADULT
from smear.layouts.manifest import MISSING
from smear.picture_store import PictureStore
from smear.review_tables import UserRow
from smear.store import Store
from smear.tables import (
    BundleRow,
    CellRow,
    DifferentialRow,
    IgnoredFileRow,
    PictureRow,
    PredictionRow,
    RevisionRow,
    SlideRow,
    SourceRow,
    key,
    new_identity,
    utc_now,
)


PASSWORD = "a horse, a kingdom"
PEOPLE = {
    "ada": ("Ada Admin", "administrator"),
    "maria": ("Maria Lind", "technologist"),
    "jonas": ("Jonas Weber", "reviewer"),
    "vera": ("Vera View", "viewer"),
}
#: A mix like blood's, in which nothing is flagged.
MIX = ["neutrophil"] * 6 + ["lymphocyte"] * 3 + ["monocyte"]


RULES = Rules(ADULT, 50, 100, 0.9, "test 0")


def add_people(store: Store, passwords: Passwords) -> dict[str, int]:
    """Somebody of each role, all with PASSWORD; row numbers by name."""
    hashed = passwords.hash(PASSWORD)
    with store.write() as session:
        for name, (full_name, role) in PEOPLE.items():
            session.add(
                UserRow(name=name, full_name=full_name, role=role, password_hash=hashed, must_change=False,
                        active=True, created_at=utc_now())
            )  # fmt: skip
        session.flush()
        return {row.name: key(row.id) for row in session.exec(select(UserRow))}


def source_and_bundle(store: Store, name: str = "default", priority: int = 0) -> tuple[int, int]:
    with store.write() as session:
        source = session.exec(select(SourceRow).where(SourceRow.name == name)).one_or_none()
        source = source or SourceRow(name=name, layout="slides", geometry="di60", priority=priority)
        bundle = session.exec(select(BundleRow).where(BundleRow.bundle_id == "wnet@0123456789ab")).one_or_none()
        bundle = bundle or BundleRow(bundle_id="wnet@0123456789ab", folder="wnet", registered_at=utc_now())
        session.add_all([source, bundle])
        session.flush()
        return key(source.id), key(bundle.id)


def add_slide(
    store: Store,
    slide_id: str,
    *,
    cells: list[str] | None = None,
    doubtful: int = 2,
    state: str = "classified",
    sidecar: dict | None = None,
    reason: str | None = None,
    pictures: PictureStore | None = None,
    files: list[Path] | None = None,
    analyser: list[str] | None = None,
    source_name: str = "default",
    priority: int = 0,
    missing: int = 0,
) -> int:
    """A classified slide; its row number. The first `doubtful` cells are uncertain. Contents are distinct.

    `missing` files are listed in a manifest and not there, as the worker records them.
    """
    source, bundle = source_and_bundle(store, source_name, priority)
    types = (MIX * 12)[:120] if cells is None else cells
    with store.write() as session:
        slide = session.exec(
            select(SlideRow).where(SlideRow.slide_id == slide_id, SlideRow.source_id == source)
        ).one_or_none()
        slide = slide or SlideRow(source_id=source, slide_id=slide_id, folder=slide_id, first_seen_at=utc_now())
        session.add(slide)
        session.flush()
        there = session.exec(select(RevisionRow).where(RevisionRow.slide == slide.id)).all()
        revision = RevisionRow(slide=key(slide.id), number=len(there) + 1, state=state, reason=reason,
                               sidecar=sidecar, arrived_at=utc_now() - timedelta(minutes=3))  # fmt: skip
        session.add(revision)
        session.flush()
        if state in {"queued", "arriving", "listed"}:
            return key(slide.id)
        known = {c.sha256: c for c in session.exec(select(CellRow).where(CellRow.slide == slide.id))}
        for i, cell_type in enumerate(types):
            # Bytes behind the end of a JPEG make another content of the same picture.
            data = (files[i % len(files)].read_bytes() if files else b"") + f"{slide_id} {i}".encode()
            digest = hashlib.sha256(data).hexdigest()
            if pictures is not None:
                pictures.put(digest, data)
            cell = known.get(digest) or CellRow(slide=key(slide.id), sha256=digest)
            new = cell.id is None
            session.add(cell)
            session.flush()
            session.add(
                PictureRow(revision=key(revision.id), path=f"cell_{i:04}.jpg", cell=cell.id, size=len(data),
                           mtime_ns=0, ctime_ns=0, inode="0",
                           analyser_class=analyser[i] if analyser else None)
            )  # fmt: skip
            if not new:
                continue
            top = 0.62 if i < doubtful else 0.995
            of_five = cell_type if cell_type in CELL_TYPES else "lymphocyte"
            p = {f"p_{t}": top if t == of_five else (1 - top) / 4 for t in CELL_TYPES}
            session.add(
                PredictionRow(cell=key(cell.id), bundle=bundle, cell_type=of_five, outside_score=1 - top,
                              state="classified" if cell_type in CELL_TYPES else "outside", **p)
            )  # fmt: skip
        for i in range(missing):
            session.add(
                PictureRow(revision=key(revision.id), path=f"missing_{i:04}.jpg", problem=MISSING, size=0, mtime_ns=0,
                           ctime_ns=0, inode="0")
            )  # fmt: skip
        counts = {t: types.count(t) for t in CELL_TYPES}
        found = differential(counts, min_cells=50, low_count_cells=100)
        ci95 = None if found.ci95 is None else {t: list(v) for t, v in found.ci95.items()}
        session.add(
            DifferentialRow(
                revision=key(revision.id), bundle=bundle, backend="fake-fp32", files=len(types),
                total=len(types) + missing,
                classified=sum(counts.values()), outside=len(types) - sum(counts.values()), misfit=0,
                unreadable=missing,
                **counts, percent=found.percent, ci95=ci95, remark=found.remark, problems=[], needs_review=doubtful,
                corrected=found.percent, corrected_ci95=ci95, created_at=utc_now(),
                flags=flags(found.percent, found.ci95, ADULT, (sidecar or {}).get("wbc_10e9_L")),
            )
        )  # fmt: skip
        return key(slide.id)


def add_gaps(store: Store) -> None:
    """Of every slide a sidecar that is not understood and a picture that is not kept; of every source a stray file."""
    with store.write() as session:
        for revision in session.exec(select(RevisionRow)):
            revision.sidecar_problems = [
                {"file": "slide.json", "reason": "not used: not valid JSON, or part of it is missing"}
            ]
            revision.not_kept, revision.finished_at = 1, utc_now()
            session.add(revision)
        for source in session.exec(select(SourceRow)):
            source.ignored = 1
            session.add(source)
            session.add(
                IgnoredFileRow(source=key(source.id), path="export.zip", area="", reason="an archive: unpack it",
                               first_seen_at=utc_now())
            )  # fmt: skip


def add_many(store: Store, n: int) -> None:
    """An archive of n slides in all states, each with a differential."""
    source, bundle = source_and_bundle(store)
    states = ["signed"] * 90 + ["classified"] * 6 + ["reviewed"] * 2 + ["failed", "queued"]
    percent = '{"neutrophil": 60.0, "eosinophil": 2.0, "basophil": 0.5, "lymphocyte": 30.0, "monocyte": 7.5}'
    ci95 = '{"neutrophil":[50,70],"eosinophil":[0,7],"basophil":[0,4],"lymphocyte":[21,40],"monocyte":[3,15]}'
    with store.write() as session:
        connection = session.connection()
        top = connection.execute(text("SELECT COALESCE(MAX(id), 0) FROM slides")).scalar_one()
        first = connection.execute(text("SELECT COALESCE(MAX(id), 0) FROM revisions")).scalar_one()
        now = utc_now()
        slides = [
            {"i": top + i, "s": source, "n": f"H{i:07}", "t": now - timedelta(seconds=i)} for i in range(1, n + 1)
        ]
        connection.execute(
            text("INSERT INTO slides (id, source_id, slide_id, folder, first_seen_at) VALUES (:i, :s, :n, :n, :t)"),
            slides,
        )
        connection.execute(
            text("INSERT INTO revisions (id, slide, number, identity, state, sidecar, attempts, token, beat,"
                 " arrived_at) VALUES (:r, :i, 1, :u, :st, :sc, 1, 1, 0, :t)"),
            [{"r": first + k, "u": new_identity(), "i": s["i"], "st": states[k % 100],
              "sc": f'{{"order_id": "A-{k:08}"}}', "t": s["t"]}
             for k, s in enumerate(slides, start=1)],
        )  # fmt: skip
        connection.execute(
            text("INSERT INTO differentials (revision, bundle, backend, total, classified, outside, misfit, unreadable,"
                 " neutrophil, eosinophil, basophil, lymphocyte, monocyte, percent, ci95, problems, needs_review,"
                 " flags, created_at)"
                 " VALUES (:r, :b, 'fake', 200, 200, 0, 0, 0, 120, 4, 1, 60, 15, :p, :c, '[]', 3, '[]', :t)"),
            [{"r": first + k, "b": bundle, "p": percent, "c": ci95, "t": s["t"]}
             for k, s in enumerate(slides, start=1)],
        )  # fmt: skip
