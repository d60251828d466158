"""Stage `collect`: the signed labels as they stand now, their pictures read, capped, divided, laid down."""

from collections import Counter
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

import numpy as np
from sqlmodel import Session, col, select

from smear.bundle import Bundle
from smear.cells import CELL_TYPES
from smear.geometry import prepare, profile
from smear.nightly_tables import LabCellRow, ScorecardRow
from smear.picture_store import NotKept, PictureStore
from smear.pictures import MisfitPicture, UnreadablePicture
from smear.runs import Enough
from smear.settings import Settings
from smear.store import Store
from trainer.nightly import labels, snapshot
from trainer.nightly.labels import Label
from trainer.nightly.rules import ON_LABELS
from trainer.nightly.snapshot import LabCells, Snapshot


#: Fewer cells than this in the laboratory's hold-out say nothing of a challenger.
MIN_JUDGED: Final = 20


def collect(store: Store, settings: Settings, night: str, champion: Bundle, folder: Path) -> dict[str, Any]:
    """Lay the night's snapshot down; what it holds, in numbers. Raises Enough where there is too little of it."""
    geometry = champion.manifest.geometry
    with store.write() as session:
        found, disagreements = labels.signed(session)
        fitting = [label for label in found if label.geometry == geometry]
        role = labels.roles(session, fitting, night)
        seen = _first_seen(session, set(session.exec(select(ScorecardRow.night))))
        # Labels that were doubted are asked about again until a night has no doubt: what nobody mended is not known.
        known = seen - _first_seen(session, _doubted(session))
    new = sum(label.sha256 not in seen for label in fitting)
    if new < settings.nightly_min_labels:
        raise Enough(f"{new} new labels, {settings.nightly_min_labels} needed")
    pictures = PictureStore(settings.pictures_folder)
    wanted = _capped([label for label in fitting if role[label.sha256] == "learn"], known, settings)
    kept, lost = _read(wanted, pictures, geometry, known)
    held, held_lost = _read([label for label in fitting if role[label.sha256] == "judge"], pictures, geometry, known)
    lost += held_lost
    if len(held) < MIN_JUDGED:
        raise Enough(
            f"the laboratory's hold-out has {len(held)} signed labels, {MIN_JUDGED} needed (a quarter of the"
            " slides goes there, by a hash of their names)"
        )
    if not len(kept):
        raise Enough("no signed label is left to learn from: all lie in the laboratory's hold-out")
    facts = {
        "champion": champion.bundle_id,
        "new_labels": new,
        "learn": len(kept),
        "judge": len(held),
        "learn_by_type": _counts(kept),
        "judge_by_type": _counts(held),
        "disagreements": [d.as_json() for d in disagreements],
        "not_used": dict(Counter(lost)),
        "other_geometry": len(found) - len(fitting),
    }
    snapshot.save(folder, Snapshot(kept, held, facts))
    return {name: value for name, value in facts.items() if name != "disagreements"} | {
        "disagreements": len(disagreements)
    }


def _doubted(session: Session) -> set[str]:
    """The latest nights whose labels a rule doubted, one after another; a card at a time, since a card is large."""
    latest = select(ScorecardRow).order_by(col(ScorecardRow.id).desc()).execution_options(yield_per=1)
    with session.exec(latest) as cards:
        return {card.night for card in takewhile(lambda card: not _labels_were_kept(card.card), cards)}


def _labels_were_kept(card: dict[str, Any]) -> bool:
    """Whether no rule of that scorecard doubted the night's labels."""
    return all(rule["kept"] for rule in card.get("rules", []) if rule["rule"].startswith(ON_LABELS))


def _first_seen(session: Session, nights: set[str]) -> set[str]:
    """Contents that one of these nights saw first."""
    return set(session.exec(select(LabCellRow.sha256).where(col(LabCellRow.night).in_(nights))))


def _capped(found: Sequence[Label], known: set[str], settings: Settings) -> list[Label]:
    """At most so many a type: those not yet known first, then the others by content."""
    chosen = []
    for cell_type in CELL_TYPES:
        of_type = sorted((label.sha256 in known, label.sha256, label) for label in found if label.label == cell_type)
        chosen += [label for _, _, label in of_type[: settings.nightly_cells_per_type]]
    return chosen


def _read(
    wanted: Sequence[Label], pictures: PictureStore, geometry: str, known: set[str]
) -> tuple[LabCells, list[str]]:
    images, kept, lost = [], [], []
    how = profile(geometry)
    for label in wanted:
        try:
            images.append(prepare(pictures.get(label.sha256), how))
            kept.append(label)
        except NotKept:
            lost.append("picture no longer kept")
        except (UnreadablePicture, MisfitPicture):
            lost.append("picture that cannot be used")
    if not kept:
        return snapshot.empty(), lost
    return LabCells(
        np.stack(images),
        np.array([CELL_TYPES.index(label.label) for label in kept], np.int64),
        np.array([label.slide for label in kept], np.int64),
        np.array([label.sha256 not in known for label in kept], np.bool_),
        tuple(label.sha256 for label in kept),
    ), lost


def _counts(cells: LabCells) -> dict[str, int]:
    return {t: int(n) for t, n in zip(CELL_TYPES, np.bincount(cells.labels, minlength=5), strict=True)}
