"""What is printed of a slide: the latest revision, under the bundle that serves where it has such a result."""

import pytest

from smear.cells import CELL_TYPES
from smear.report import CELL_COUNTS
from smear.tables import BundleRow, DifferentialRow, ServingRow, utc_now
from worker import arrivals, ledger
from worker.results import results


def differential(revision, bundle, **changed):
    counted = dict.fromkeys((*CELL_COUNTS, *CELL_TYPES), 0)
    given = {"backend": "fake-fp32", "problems": [], "created_at": utc_now()}
    return DifferentialRow(revision=revision, bundle=bundle, **(counted | given | changed))


@pytest.fixture
def two_bundles(store):
    with store.write() as session:
        for number in (1, 2):
            session.add(BundleRow(id=number, bundle_id=f"b@{number}", folder="b", registered_at=utc_now()))
        session.flush()
        session.add(ServingRow(bundle=1, since=utc_now()))


def told(store, **options):
    return [(r.slide.slide_id, r.revision.number, r.bundle and r.bundle.bundle_id) for r in results(store, **options)]


def test_each_slide_appears_once_with_its_latest_revision(store, two_bundles, queue_slide):
    first, other = queue_slide(store, "S-1"), queue_slide(store, "S-2")
    known = arrivals.known_slides(store, 1)["S-1"]
    second = arrivals.open_revision(store, known)
    with store.write() as session:
        session.add_all([differential(first, 1), differential(second.revision, 1), differential(other, 1)])
    assert told(store) == [("S-1", 2, "b@1"), ("S-2", 1, "b@1")]
    assert told(store, slide_id="S-2") == [("S-2", 1, "b@1")]
    assert told(store, slide_id="S-3") == []
    assert told(store, everything=True) == [("S-1", 1, "b@1"), ("S-1", 2, "b@1"), ("S-2", 1, "b@1")]


def test_the_serving_bundles_result_comes_first_else_the_newest(store, two_bundles, queue_slide):
    both, only = queue_slide(store, "S-1"), queue_slide(store, "S-2")
    with store.write() as session:
        session.add_all([differential(both, 1), differential(only, 2)])
        session.flush()
        session.add(differential(both, 2))
    assert told(store) == [("S-1", 1, "b@1"), ("S-2", 1, "b@2")]
    assert told(store, everything=True) == [("S-1", 1, "b@1"), ("S-1", 1, "b@2"), ("S-2", 1, "b@2")]


def test_a_slide_without_a_result_appears_with_its_state_and_reason(store, queue_slide):
    revision = queue_slide(store, "S-1")
    (queued,) = (r.to_object() for r in results(store))
    assert (queued["state"], queued["percent"], queued["bundle"], queued["problems"]) == ("queued", None, None, [])
    ledger.fail(store, ledger.claim(store, revision, "w"), "its folder went away")
    (failed,) = (r.to_object() for r in results(store))
    assert (failed["state"], failed["problems"]) == ("failed", [{"file": "", "reason": "its folder went away"}])


def test_an_archive_of_many_slides_is_printed_whole_and_in_order(store, monkeypatch, queue_slide, two_bundles):
    monkeypatch.setattr("worker.results._BATCH", 7)
    revisions = [queue_slide(store, f"S-{n:03}") for n in range(30)]
    with store.write() as session:
        session.add_all([differential(revision, 1) for revision in revisions])
    assert told(store) == [(f"S-{n:03}", 1, "b@1") for n in range(30)]
