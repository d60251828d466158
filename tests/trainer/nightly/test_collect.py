"""What a night takes from the laboratory: enough new labels, so many a type, the new ones first; the rest is told."""

from types import SimpleNamespace

import numpy as np
import pytest
from lab import person, signed_slide
from sqlmodel import select

from smear.cells import CELL_TYPES
from smear.nightly_tables import ScorecardRow
from smear.picture_store import PictureStore
from smear.review_tables import ChangeRow
from smear.runs import Enough
from smear.tables import CellRow, key, utc_now
from trainer.nightly import snapshot
from trainer.nightly.collect import collect
from trainer.nightly.labels import in_holdout


CHAMPION = SimpleNamespace(bundle_id="wnet@1", manifest=SimpleNamespace(geometry="di60"))


@pytest.fixture
def night(lab_store, settings, tmp_path):
    """night(name, **settings): what `collect` tells, and the snapshot that it laid down."""

    def run(name="2031-05-01", **given):
        folder = tmp_path / name
        told = collect(lab_store, settings.model_copy(update=given), name, CHAMPION, folder)
        return told, snapshot.load(folder)

    return run


def judged(store, night, doubted=False):
    """As if that night had come to a scorecard: its labels are new no longer."""
    rules = [
        {"rule": "recall of monocytes, shipped hold-out", "kept": False},
        {"rule": "labels as before", "kept": not doubted},
    ]
    with store.write() as session:
        session.add(ScorecardRow(night=night, challenger="c", champion="w", passed=False, reason="r",
                                 card={"rules": rules}, at=utc_now()))  # fmt: skip


def test_too_few_new_labels_end_the_night_with_the_sentence(night, laboratory, lab_store):
    laboratory(0, 2)
    with pytest.raises(Enough, match=r"^42 new labels, 50 needed$"):
        night(nightly_min_labels=50)
    laboratory(2, 14)
    night()
    judged(lab_store, "2031-05-01")
    with pytest.raises(Enough, match=r"^0 new labels, 20 needed$"):
        night("2031-05-02")


def asked_of(found):
    parts = (found.learn, found.judge)
    return {digest for part in parts for digest, new in zip(part.sha256, part.new, strict=True) if new}


@pytest.mark.parametrize("doubted", [False, True])
def test_labels_that_a_night_doubted_are_asked_about_again(night, laboratory, lab_store, doubted):
    laboratory(0, 8)
    _, first = night()
    judged(lab_store, "2031-05-01", doubted)
    laboratory(8, 12)
    told, second = night("2031-05-02")
    asked = asked_of(second)
    assert (set(first.learn.sha256) <= asked) == doubted
    assert asked - set(first.learn.sha256)
    assert told["new_labels"] == 4 * 21  # what was judged does not count again
    # A night that had no doubt has cleared them all.
    judged(lab_store, "2031-05-02")
    laboratory(12, 14)
    _, third = night("2031-05-03")
    assert asked_of(third)
    assert not asked_of(third) & asked


def test_slides_are_on_one_side_and_each_type_is_capped_with_the_new_ones_first(night, laboratory, lab_store):
    laboratory(0, 10)
    _, first = night(nightly_cells_per_type=10)
    assert np.bincount(first.learn.labels, minlength=5).max() == 10
    assert not set(first.learn.slides.tolist()) & set(first.judge.slides.tolist())
    judged(lab_store, "2031-05-01")
    laboratory(10, 14)
    told, second = night("2031-05-02", nightly_cells_per_type=30)
    fresh = {t: int((second.learn.new & (second.learn.labels == i)).sum()) for i, t in enumerate(CELL_TYPES)}
    everything = night("2031-05-03", nightly_cells_per_type=1000)[1].learn
    there = {t: int((everything.new & (everything.labels == i)).sum()) for i, t in enumerate(CELL_TYPES)}
    assert fresh == {t: min(n, 30) for t, n in there.items()}
    assert told["learn_by_type"]["neutrophil"] == 30


def test_what_cannot_be_used_is_counted_and_what_is_disputed_is_listed_and_in_neither_part(
    night, laboratory, lab_store, settings
):
    laboratory()
    with lab_store.write() as session:
        rows = session.exec(select(CellRow).order_by(CellRow.id)).all()
        gone, disputed = rows[0].sha256, rows[30].sha256
        cell = key(rows[30].id)
    jonas, maria = person(lab_store, "jonas"), person(lab_store)
    with lab_store.write() as session:
        for user, label in ((jonas, "basophil"), (maria, "monocyte")):
            session.add(ChangeRow(revision=1, user=user, at=utc_now(), before=[],
                                  after=[{"cell": cell, "label": label, "kind": None}]))  # fmt: skip
    pictures = PictureStore(settings.pictures_folder)
    assert pictures.delete(gone)
    signed_slide(lab_store, pictures, "S-torn", [(b"no picture", "monocyte")])
    told, found = night()
    assert told["not_used"] == {"picture no longer kept": 1, "picture that cannot be used": 1}
    assert told["disagreements"] == 1
    (listed,) = found.facts["disagreements"]
    assert listed["sha256"] == disputed
    assert {"basophil", "monocyte"} <= set(listed["labels"])
    used = {*found.learn.sha256, *found.judge.sha256}
    assert not used & {gone, disputed}
    assert len(used) == len(rows) - 2


def test_a_laboratory_without_enough_held_apart_is_told_so(night, lab_store, settings, lab_pictures):
    learned = [f"T-{n}" for n in range(40) if not in_holdout(f"default/T-{n}")][:3]
    for number, name in enumerate(learned):
        signed_slide(lab_store, PictureStore(settings.pictures_folder), name, lab_pictures[number::9][:20])
    with pytest.raises(Enough, match="hold-out has 0 signed labels, 20 needed"):
        night()
