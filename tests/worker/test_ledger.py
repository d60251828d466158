"""Who may do what next, on SQLite and on PostgreSQL: conditional updates alone decide."""

import subprocess
import sys

import pytest
from sqlmodel import select

from smear.audit import verify
from smear.review_tables import AuditRow
from smear.settings import Source
from smear.tables import RevisionRow, SourceRow
from worker import arrivals, ledger
from worker.ledger import Fenced


def row(store, revision):
    with store.read() as session:
        return session.get(RevisionRow, revision)


def held(store):
    (one,) = ledger.held(store)
    return one


def test_a_source_is_registered_once_and_kept_up_to_date(store, tmp_path):
    first = arrivals.register_source(store, Source("ward", tmp_path, "slides", "di60"))
    assert arrivals.register_source(store, Source("ward", tmp_path / "elsewhere", "classes", "whole")) == first
    with store.read() as session:
        (found,) = session.exec(select(SourceRow)).all()
    assert (found.layout, found.geometry) == ("classes", "whole")


def test_a_slide_is_opened_once_and_known_ever_after(store, tmp_path):
    source = arrivals.register_source(store, Source("ward", tmp_path, "slides", "di60"))
    other = arrivals.register_source(store, Source("lab", tmp_path, "slides", "di60"))
    assert arrivals.known_slide(store, source, "S-1") is None
    opened = arrivals.open_slide(store, source, "S-1", "S-1")
    assert arrivals.open_slide(store, source, "S-1", "S-1") == opened
    assert arrivals.known_slides(store, source) == {"S-1": opened}
    assert arrivals.known_slide(store, source, "S-1") == opened
    assert arrivals.known_slides(store, other) == {}
    assert arrivals.arriving(store, source) == [("S-1", "S-1")]


def test_the_latest_revision_is_the_one_that_is_known(store, tmp_path):
    source = arrivals.register_source(store, Source("ward", tmp_path, "slides", "di60"))
    first = arrivals.open_slide(store, source, "S-1", "S-1")
    second = arrivals.open_revision(store, first)
    assert (second.number, second.slide) == (2, first.slide)
    assert arrivals.known_slide(store, source, "S-1") == second
    assert arrivals.open_revision(store, first) == second  # another watcher was faster


def test_only_a_slide_of_which_nothing_was_read_is_forgotten(store, tmp_path):
    source = arrivals.register_source(store, Source("ward", tmp_path, "slides", "di60"))
    for name in ("seen", "queued", "reopened"):
        arrivals.open_slide(store, source, name, name)
    arrivals.settle(store, arrivals.known_slide(store, source, "queued").revision, None, blood=True)
    arrivals.open_revision(store, arrivals.known_slide(store, source, "reopened"))
    for known in arrivals.known_slides(store, source).values():
        arrivals.forget(store, known)
    assert arrivals.known_slides(store, source).keys() == {"queued", "reopened"}


def test_what_settles_is_queued_and_to_be_published_oldest_first(store, queue_slide):
    revisions = [queue_slide(store, f"S-{n}") for n in range(3)]
    assert ledger.to_publish(store, 10) == revisions
    assert ledger.to_publish(store, 2) == revisions[:2]
    assert ledger.to_publish(store, 0) == []
    ledger.mark_published(store, revisions[:2])
    assert ledger.to_publish(store, 10) == revisions[2:]
    assert ledger.unclaimed(store) == revisions[:2]


def test_what_is_no_blood_is_listed_and_never_queued(store, tmp_path):
    source = arrivals.register_source(store, Source("ward", tmp_path, "slides", "di60"))
    known = arrivals.open_slide(store, source, "BFS-1", "BFS-1")
    arrivals.settle(store, known.revision, {"order_id": "O"}, blood=False)
    found = row(store, known.revision)
    assert (found.state, found.reason, found.sidecar) == (
        "listed",
        "not a blood smear: no differential",
        {"order_id": "O"},
    )
    assert ledger.to_publish(store, 9) == []
    assert ledger.claim(store, known.revision, "w") is None


def test_only_what_is_arriving_settles_or_fails_as_arriving(store, queue_slide):
    revision = queue_slide(store)
    ledger.mark_published(store, [revision])
    before = row(store, revision)
    arrivals.settle(store, revision, {"order_id": "another"}, blood=False)
    arrivals.fail_arriving(store, revision, "its folder went away")
    assert row(store, revision) == before


def test_a_claim_is_given_once_and_counted_before_any_work(store, queue_slide):
    revision = queue_slide(store)
    claim = ledger.claim(store, revision, "host:1")
    assert (claim.revision, claim.slide_id, claim.folder, claim.source, claim.number, claim.attempts) == (
        revision,
        "S-1",
        "S-1",
        "default",
        1,
        1,
    )
    assert ledger.claim(store, revision, "host:2") is None
    assert ledger.claim(store, 999, "host:2") is None
    assert row(store, revision).claimed_by == "host:1"
    assert ledger.unclaimed(store) == []


CLAIM = """
import sys
from smear.store import Store
from worker import arrivals, ledger
store = Store(sys.argv[1])
sys.stdin.read()
print(*(r for r in map(int, sys.argv[2:]) if ledger.claim(store, r, "host") is not None))
"""


def test_of_three_processes_that_claim_the_same_slides_each_slide_goes_to_one(store, queue_slide):
    revisions = [queue_slide(store, f"S-{n}") for n in range(25)]
    url = store.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", CLAIM, url, *map(str, revisions)]
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for process in started:
        process.stdin.close()
        process.stdin = None
    claimed = [int(word) for process in started for word in process.communicate(timeout=100)[0].split()]
    assert sorted(claimed) == revisions
    assert {row(store, revision).attempts for revision in revisions} == {1}


def test_a_heartbeat_moves_while_the_claim_holds_and_is_fenced_after(store, queue_slide):
    claim = ledger.claim(store, queue_slide(store), "host:1")
    before = held(store)
    ledger.beat(store, claim)
    assert held(store).beat == before.beat + 1
    assert ledger.take_back(store, held(store))
    with pytest.raises(Fenced):
        ledger.beat(store, claim)


def test_a_silent_claim_is_taken_back_into_the_outbox(store, queue_slide):
    revision = queue_slide(store)
    ledger.mark_published(store, [revision])
    lost = ledger.claim(store, revision, "host:1")
    assert ledger.take_back(store, held(store))
    assert ledger.to_publish(store, 9) == [revision]
    again = ledger.claim(store, revision, "host:2")
    assert again.attempts == 2
    assert again.token > lost.token


def test_a_claim_that_moved_on_is_not_taken_back(store, queue_slide):
    claim = ledger.claim(store, queue_slide(store), "host:1")
    seen = held(store)
    ledger.beat(store, claim)
    assert not ledger.take_back(store, seen)
    assert not ledger.give_up(store, seen, "dead")
    assert row(store, claim.revision).claimed_by == "host:1"


@pytest.mark.parametrize("late", ["fail", "release"])
def test_who_lost_the_claim_can_change_nothing_any_more(store, queue_slide, late):
    revision = queue_slide(store)
    lost = ledger.claim(store, revision, "host:1")
    ledger.take_back(store, held(store))
    ledger.claim(store, revision, "host:2")
    before = row(store, revision)
    if late == "fail":
        ledger.fail(store, lost, "too late")
    else:
        ledger.release(store, lost, attempts=0)
    assert row(store, revision) == before


def test_a_released_slide_is_arriving_again_and_keeps_the_count_it_is_given(store, queue_slide):
    revision = queue_slide(store)
    claim = ledger.claim(store, revision, "host:1")
    ledger.release(store, claim, attempts=claim.attempts)
    found = row(store, revision)
    assert (found.state, found.claimed_by, found.attempts, found.published_at) == ("arriving", None, 1, None)
    arrivals.settle(store, revision, None, blood=True)
    assert ledger.claim(store, revision, "host:1").attempts == 2


def test_what_is_given_up_has_failed_with_its_reason_and_can_be_retried(store, queue_slide):
    revision = queue_slide(store)
    lost = ledger.claim(store, revision, "host:1")
    assert ledger.give_up(store, held(store), "its worker died 10 times over it")
    found = row(store, revision)
    assert (found.state, found.reason) == ("failed", "its worker died 10 times over it")
    with pytest.raises(Fenced):
        ledger.beat(store, lost)
    assert ledger.retry(store, ["S-1"]) == 1
    found = row(store, revision)
    assert (found.state, found.reason, found.attempts, found.finished_at) == ("queued", None, 0, None)
    assert ledger.to_publish(store, 9) == [revision]


def test_only_failed_slides_are_retried_and_only_those_named(store, queue_slide):
    failed = [queue_slide(store, f"F-{n}") for n in range(3)]
    for revision in failed:
        ledger.fail(store, ledger.claim(store, revision, "w"), "why")
    fine = queue_slide(store, "fine")
    assert ledger.retry(store, ["fine", "F-1", "unknown"]) == 1
    assert row(store, fine).state == "queued"
    assert [row(store, r).state for r in failed] == ["failed", "queued", "failed"]
    assert ledger.retry(store, []) == 0
    assert ledger.retry(store, None) == 2


def test_each_slide_that_a_person_retries_has_a_line_in_the_audit(store, queue_slide, monkeypatch):
    monkeypatch.setattr(ledger, "_AT_ONCE", 2)
    failed = [queue_slide(store, f"F-{n}") for n in range(3)]
    for revision in failed:
        ledger.fail(store, ledger.claim(store, revision, "w"), "why")
    assert ledger.retry(store, None) == 3
    with store.read() as session:
        lines = session.exec(select(AuditRow).order_by(AuditRow.number)).all()
    assert [(line.action, line.who, line.revision, line.after) for line in lines] == [
        ("retry", "console", revision, {"state": "queued"}) for revision in failed
    ]
    assert verify(store).problem is None


def test_a_lost_message_goes_back_into_the_outbox_unless_somebody_has_it(store, queue_slide):
    revisions = [queue_slide(store, f"S-{n}") for n in range(3)]
    ledger.mark_published(store, revisions)
    ledger.claim(store, revisions[1], "host:1")
    ledger.fail(store, ledger.claim(store, revisions[2], "host:1"), "why")
    before = row(store, revisions[1]), row(store, revisions[2])
    for revision in revisions:
        ledger.publish_again(store, revision)
    assert ledger.to_publish(store, 9) == revisions[:1]
    assert (row(store, revisions[1]), row(store, revisions[2])) == before


def test_a_message_that_arrives_after_its_slide_is_done_marks_nothing(store, queue_slide):
    revision = queue_slide(store)
    ledger.fail(store, ledger.claim(store, revision, "host:1"), "why")
    before = row(store, revision)
    ledger.mark_published(store, [revision])
    assert row(store, revision) == before
