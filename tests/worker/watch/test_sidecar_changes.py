"""A sidecar added, corrected or removed after classification is taken up, and nothing is classified again."""

import json
import os

import pytest
from sqlmodel import select

from smear.audit import verify
from smear.review_tables import AuditRow, BoardRow, ReviewRow, SignatureRow, UserRow
from smear.tables import DifferentialRow, RevisionRow, utc_now
from worker.results import results


@pytest.fixture
def folder(drop, make_slide, either_service):
    """The folder of a slide that is classified, and that nobody looks at any more."""
    made = make_slide(drop, "S-1", 60)
    write(made, order_id="O-1", wbc_10e9_L=5.1)
    either_service.run(75)
    assert either_service.states() == {("S-1", 1): "classified"}
    return made


def write(folder, **fields):
    """As an analyser does, or a person with an editor: in place."""
    (folder / "slide.json").write_text(json.dumps(fields))


def one(store, kind):
    with store.read() as session:
        return session.exec(select(kind)).one()


def audit_lines(store):
    with store.read() as session:
        return [(r.who, r.action, r.before, r.after) for r in session.exec(select(AuditRow))]


def test_a_corrected_sidecar_is_taken_up_within_a_scan_and_nothing_is_classified_again(
    folder, either_service, fake_engine, later
):
    batches = len(fake_engine.batches)
    write(folder, order_id="O-2", wbc_10e9_L=500, expected_cells=70)
    either_service.run(75)
    store = either_service.store
    assert either_service.states() == {("S-1", 1): "classified"}
    assert len(fake_engine.batches) == batches
    (told,) = (result.to_object() for result in results(store))
    assert (told["expected_cells"], told["complete"]) == (70, False)
    assert {flag["basis"] for flag in told["flags"]} == {"absolute"}
    board = one(store, BoardRow)
    assert (board.order_id, board.flagged) == ("O-2", len(told["flags"]))
    assert audit_lines(store)[0][:2] == ("watcher", "sidecar changed")
    assert verify(store).problem is None


@pytest.mark.parametrize("change", ["added", "removed", "broken", "other kind"])
def test_a_sidecar_that_comes_goes_or_breaks_is_noticed(change, drop, make_slide, either_service, later):
    folder = make_slide(drop, "S-1", 3)
    if change != "added":
        write(folder, order_id="O-1")
    either_service.run(75)
    if change == "added":
        write(folder, order_id="O-7")
    if change in {"removed", "other kind"}:
        (folder / "slide.json").unlink()
    if change == "other kind":
        (folder / "slide.csv").write_text("order_id\nO-7\n")
    if change == "broken":
        (folder / "slide.json").write_text("{")
    later(folder)
    either_service.run(90)
    row = one(either_service.store, RevisionRow)
    assert row.sidecar == (None if change in {"removed", "broken"} else {"order_id": "O-7"})
    assert (row.sidecar_problems is not None) == (change == "broken")
    (told,) = (result.to_object() for result in results(either_service.store))
    assert len(told["problems"]) == (change == "broken")


def test_a_sidecar_that_is_corrected_takes_its_problem_away(drop, make_slide, service):
    folder = make_slide(drop, "S-1", 3)
    (folder / "slide.json").write_text("{")
    service.run(75)
    write(folder, order_id="O-1")
    service.run(75)
    (told,) = (result.to_object() for result in results(service.store))
    assert told["problems"] == []
    assert one(service.store, RevisionRow).sidecar_problems is None


def test_an_export_that_is_purged_file_by_file_takes_nothing_away(folder, either_service, later):
    before = one(either_service.store, RevisionRow)
    (folder / "slide.json").unlink()
    (folder / "cell_000.jpg").unlink()
    later(folder)
    either_service.run(130)
    assert one(either_service.store, RevisionRow).sidecar == before.sidecar


def test_the_same_sidecar_written_again_changes_no_result(folder, either_service):
    before = one(either_service.store, DifferentialRow)
    write(folder, order_id="O-1", wbc_10e9_L=5.1)
    either_service.run(75)
    assert one(either_service.store, DifferentialRow) == before
    assert audit_lines(either_service.store) == []


def test_a_restart_overlooks_no_correction(folder, either_service):
    write(folder, order_id="O-2")
    either_service.start()
    either_service.run(20)
    assert one(either_service.store, RevisionRow).sidecar == {"order_id": "O-2"}


def test_a_half_written_sidecar_is_waited_for(folder, either_service, later):
    (folder / "slide.json").write_text('{"order_id": "O-')
    either_service.wake("S-1")
    either_service.run(1)
    write(folder, order_id="O-2")
    either_service.wake("S-1")
    either_service.run(5)
    row = one(either_service.store, RevisionRow)
    assert (row.sidecar, row.sidecar_problems) == ({"order_id": "O-2"}, None)


def sign(store):
    with store.write() as session:
        user = UserRow(name="maria", full_name="Maria", role="technologist", password_hash="", must_change=False,
                       active=True, created_at=utc_now())  # fmt: skip
        session.add(user)
        session.flush()
        revision = session.exec(select(RevisionRow)).one()
        revision.state = "signed"
        result = {"wbc_10e9_L": 5.1, "counts": {}}
        session.add_all([revision, SignatureRow(revision=revision.id, user=user.id, role="technologist",
                                                meaning="signed", at=utc_now(), result=result)])  # fmt: skip


def test_on_a_signed_slide_what_was_signed_stays_and_the_change_is_noted(folder, either_service):
    store = either_service.store
    sign(store)
    signed = one(store, SignatureRow)
    write(folder, order_id="O-1", wbc_10e9_L=6.0)
    either_service.run(75)
    row = one(store, RevisionRow)
    assert row.state == "signed"
    assert one(store, SignatureRow) == signed
    (change,) = row.changed_after_signing
    assert (change["before"], change["after"]) == ({"wbc_10e9_L": 5.1}, {"wbc_10e9_L": 6.0})
    assert audit_lines(store) == [("watcher", "sidecar changed", {"wbc_10e9_L": 5.1}, {"wbc_10e9_L": 6.0})]


def test_who_has_the_slide_open_cannot_sign_before_a_look_at_the_new_data(folder, either_service):
    write(folder, order_id="O-1", wbc_10e9_L=6.0)
    either_service.run(75)
    assert one(either_service.store, ReviewRow).version == 1


def test_a_rescan_by_hash_takes_up_a_sidecar_whose_times_were_set_back(folder, either_service, drop):
    from worker.watch.command import rescans

    path = folder / "slide.json"
    before = path.stat()
    write(folder, order_id="O-9", wbc_10e9_L=5.1)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    (rescan,) = rescans(either_service.store, either_service.settings, [], by_hash=True)
    assert [(found.slide_id, found.found) for found in rescan.run()] == [("S-1", "sidecar changed")]
    assert one(either_service.store, RevisionRow).sidecar == {"order_id": "O-9", "wbc_10e9_L": 5.1}
