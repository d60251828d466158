"""Labels: given, taken back, given again; two people at once; and what the differential makes of them."""

import pytest
from seeding import add_slide
from sqlmodel import select

from review import labelling
from review.people import Person
from review.refusal import Refused
from review.slide import load
from smear.audit import verify
from smear.review_tables import AuditRow, LabelRow
from smear.tables import RevisionRow


@pytest.fixture
def people(store, quick_passwords):
    from seeding import PEOPLE, add_people

    rows = add_people(store, quick_passwords)
    return {name: Person(rows[name], name, PEOPLE[name][0], PEOPLE[name][1], False) for name in rows}


@pytest.fixture
def rules():
    from review.slide import Rules
    from smear.intervals import ADULT

    return Rules(ADULT, 50, 100, 0.9, "test 0")


@pytest.fixture
def there(store, people):
    return add_slide(store, "S-1")


def cells(store, rules, slide):
    with store.read() as session:
        return load(session, rules, slide).reviewed.cells


def counts(store, rules, slide):
    with store.read() as session:
        view = load(session, rules, slide)
        return view.reviewed.people.result.counts | {"outside": view.reviewed.people.outside}


def test_a_label_counts_and_the_proposal_stays_visible(store, rules, people, there):
    first = cells(store, rules, there)[0]
    version = labelling.relabel(
        store, people["maria"], there, cells=[first.id], label="basophil", kind=None, seen_version=0
    )
    assert version == 1
    assert counts(store, rules, there) == {
        "neutrophil": 71, "eosinophil": 0, "basophil": 1, "lymphocyte": 36, "monocyte": 12, "outside": 0,
    }  # fmt: skip
    with store.read() as session:
        view = load(session, rules, there)
        assert view.reviewed.model.result.counts["neutrophil"] == 72
        assert (view.reviewed.changed, view.reviewed.doubtful) == (1, 1)
        assert view.revision.state == "reviewed"
        assert dict(view.reviewed.groups)["basophil"][0].proposal == "neutrophil"


def test_cells_outside_the_five_leave_the_percentages(store, rules, people, there):
    some = [c.id for c in cells(store, rules, there)[:20]]
    labelling.relabel(store, people["maria"], there, cells=some, label="outside", kind="blast", seen_version=0)
    with store.read() as session:
        reviewed = load(session, rules, there).reviewed
    assert (reviewed.people.total, reviewed.people.outside, reviewed.kinds) == (100, 20, {"outside:blast": 20})
    assert sum(reviewed.people.result.percent.values()) == pytest.approx(100, abs=0.3)


def test_undo_and_redo_walk_a_persons_own_changes(store, rules, people, there):
    maria, ids = people["maria"], [c.id for c in cells(store, rules, there)]
    before = counts(store, rules, there)
    labelling.relabel(store, maria, there, cells=ids[:3], label="monocyte", kind=None, seen_version=0)
    labelling.relabel(store, maria, there, cells=ids[1:2], label="neutrophil", kind="band", seen_version=1)
    after = counts(store, rules, there)
    labelling.undo(store, maria, there)
    labelling.undo(store, maria, there)
    assert counts(store, rules, there) == before
    with pytest.raises(Refused, match="nothing of yours to undo"):
        labelling.undo(store, maria, there)
    labelling.redo(store, maria, there)
    labelling.redo(store, maria, there)
    assert counts(store, rules, there) == after
    assert cells(store, rules, there)[1].kind == "band"
    with pytest.raises(Refused, match="nothing of yours to redo"):
        labelling.redo(store, maria, there)


def test_a_new_change_ends_what_could_be_done_again(store, rules, people, there):
    maria, ids = people["maria"], [c.id for c in cells(store, rules, there)]
    labelling.relabel(store, maria, there, cells=ids[:1], label="monocyte", kind=None, seen_version=0)
    labelling.undo(store, maria, there)
    labelling.relabel(store, maria, there, cells=ids[5:6], label="basophil", kind=None, seen_version=2)
    with pytest.raises(Refused, match="redo"):
        labelling.redo(store, maria, there)


def test_whoever_comes_too_late_is_told_by_whom_and_changes_nothing(store, rules, people, there):
    ids = [c.id for c in cells(store, rules, there)]
    labelling.relabel(store, people["maria"], there, cells=ids[:1], label="monocyte", kind=None, seen_version=0)
    with pytest.raises(Refused) as refused:
        labelling.relabel(store, people["jonas"], there, cells=ids[:2], label="basophil", kind=None, seen_version=0)
    assert refused.value.status == 409
    assert str(refused.value).startswith("Maria Lind changed cell 1 (monocyte) before you. Your change was not made")
    with store.read() as session:
        assert [row.label for row in session.exec(select(LabelRow))] == ["monocyte"]
    # Other cells are free, and after a look this one too.
    labelling.relabel(store, people["jonas"], there, cells=ids[1:2], label="basophil", kind=None, seen_version=0)
    labelling.relabel(store, people["jonas"], there, cells=ids[:1], label="basophil", kind=None, seen_version=2)
    with pytest.raises(Refused, match="Jonas Weber has changed cell 1 since"):
        labelling.undo(store, people["maria"], there)


def test_what_is_nonsense_is_refused(store, rules, people, there):
    first = cells(store, rules, there)[0].id
    for label, kind, status in (("dragon", None, 422), ("basophil", "band", 422), ("neutrophil", "blast", 422)):
        with pytest.raises(Refused) as refused:
            labelling.relabel(store, people["maria"], there, cells=[first], label=label, kind=kind, seen_version=0)
        assert refused.value.status == status
    with pytest.raises(Refused):
        labelling.relabel(store, people["maria"], there, cells=[], label="basophil", kind=None, seen_version=0)


@pytest.mark.parametrize("state", ["arriving", "queued", "failed", "listed", "signed"])
def test_only_an_open_slide_is_changed(store, rules, people, there, state):
    first = cells(store, rules, there)[0].id
    with store.write() as session:
        revision = session.exec(select(RevisionRow)).one()
        revision.state = state
        session.add(revision)
    with pytest.raises(Refused) as refused:
        labelling.relabel(store, people["maria"], there, cells=[first], label="basophil", kind=None, seen_version=0)
    assert refused.value.status == 409


def test_labels_stay_with_their_cells_in_the_next_revision(store, rules, people, there):
    first = cells(store, rules, there)[0]
    labelling.relabel(store, people["maria"], there, cells=[first.id], label="basophil", kind=None, seen_version=0)
    add_slide(store, "S-1", cells=(["neutrophil"] * 6 + ["lymphocyte"] * 3 + ["monocyte"]) * 13)
    with store.read() as session:
        view = load(session, rules, there)
        assert (view.revision.number, view.latest, len(view.reviewed.cells)) == (2, 2, 130)
        assert view.reviewed.cells[0].label == "basophil"
        old = load(session, rules, there, 1)
        assert (old.is_latest, old.is_open, len(old.reviewed.cells)) == (False, False, 120)


def test_an_earlier_revision_is_shown_as_it_was(store, rules, people, there):
    ids = [c.id for c in cells(store, rules, there)]
    maria = people["maria"]
    labelling.relabel(store, maria, there, cells=ids[:2], label="basophil", kind=None, seen_version=0)
    add_slide(store, "S-1", cells=(["neutrophil"] * 6 + ["lymphocyte"] * 3 + ["monocyte"]) * 13)
    labelling.relabel(store, maria, there, cells=ids[1:3], label="outside", kind="blast", seen_version=0)
    labelling.relabel(store, maria, there, cells=ids[:1], label=None, kind=None, seen_version=1)
    labelling.undo(store, maria, there)
    labelling.relabel(store, maria, there, cells=ids[:1], label="eosinophil", kind=None, seen_version=3)
    with store.read() as session:
        now, then = load(session, rules, there).reviewed, load(session, rules, there, 1).reviewed
    assert [c.label for c in now.cells[:3]] == ["eosinophil", "outside", "outside"]
    assert [c.label for c in then.cells[:3]] == ["basophil", "basophil", None]
    assert (then.people.result.counts["basophil"], then.people.outside, then.kinds) == (2, 0, {})
    assert then.doubtful == 0


def test_every_change_is_in_the_audit_with_before_and_after(store, rules, people, there):
    first = cells(store, rules, there)[0]
    labelling.relabel(store, people["maria"], there, cells=[first.id], label="outside", kind="blast", seen_version=0)
    labelling.undo(store, people["maria"], there)
    with store.read() as session:
        done, undone = session.exec(select(AuditRow).order_by(AuditRow.number)).all()
    assert (done.who, done.role, done.action, done.bundle) == ("maria", "technologist", "label", "wnet@0123456789ab")
    assert done.before == {"cells": [{"sha256": first.sha256, "label": None, "kind": None}]}
    assert done.after == {"cells": [{"sha256": first.sha256, "label": "outside", "kind": "blast"}]}
    assert (undone.action, undone.after) == ("undo", done.before)
    assert verify(store).problem is None


def test_the_analysers_opinion_stands_beside(store, rules, people):
    slide = add_slide(store, "S-2", cells=["neutrophil"] * 60, analyser=["NGS"] * 50 + ["LYT"] * 8 + ["BLAST"] * 2)
    with store.read() as session:
        analyser = load(session, rules, slide).reviewed.analyser
    assert (analyser.result.counts["neutrophil"], analyser.result.counts["lymphocyte"], analyser.outside) == (50, 8, 2)


def test_few_cells_are_marked_and_very_few_withheld(store, rules, people):
    for n, remark in ((40, "withheld"), (80, "low count"), (120, None)):
        slide = add_slide(store, f"S-{n}", cells=["neutrophil"] * n, sidecar={"wbc_10e9_L": 5.0})
        with store.read() as session:
            reviewed = load(session, rules, slide).reviewed
        assert reviewed.people.result.remark == remark
        assert (reviewed.absolute is None) == (n == 40)


def test_whoever_waits_for_another_sees_what_that_one_did(store, rules, people, there):
    """Two at the same moment: the second one's transaction begins before the first one's ends."""
    import threading
    import time

    from review import signing
    from review.slide import latest_to_write

    first = cells(store, rules, there)[0].id
    labelling.relabel(store, people["maria"], there, cells=[first], label="monocyte", kind=None, seen_version=0)
    refused = []

    def late(act, *words, **how):
        try:
            act(store, *words, **how)
        except Refused as error:
            refused.append(error.status)

    change = {"cells": [first], "label": "basophil", "kind": None, "seen_version": 1}
    acts = [
        threading.Thread(target=late, args=(labelling.relabel, people["jonas"], there), kwargs=change),
        threading.Thread(target=late, args=(signing.sign, rules, people["jonas"], there, 1)),
    ]
    with store.write() as session:
        revision = latest_to_write(session, there)
        for act in acts:
            act.start()
        time.sleep(0.5)  # both are in their transactions now, and wait
        assert all(act.is_alive() for act in acts)
        review = slides_review(session, revision)
        review.version += 1
        revision.state = "signed"
        session.add_all([review, revision])
    for act in acts:
        act.join(60)
    assert refused == [409, 409]
    with store.read() as session:
        assert session.exec(select(RevisionRow.state)).one() == "signed"
        assert [row.label for row in session.exec(select(LabelRow))] == ["monocyte"]


def slides_review(session, revision):
    from review.slide import review_of

    return review_of(session, revision.id)
