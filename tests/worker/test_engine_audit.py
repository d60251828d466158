"""A change of engine or precision stands in the audit: once, for each host, whoever starts beside whom."""

import threading

import pytest
from sqlmodel import select

from smear.audit import verify
from smear.review_tables import AuditRow
from worker.engine_audit import note_engine
from worker.models import ServingEngine, register


@pytest.fixture
def lines():
    """lines(store): what the audit says of engines, and that its chain is whole."""

    def read(store):
        assert verify(store).problem is None
        with store.read() as session:
            rows = session.exec(select(AuditRow).where(AuditRow.action == "precision").order_by(AuditRow.number)).all()
        return [(r.who, r.before["precision"], r.after["precision"], r.after["engine"], r.bundle) for r in rows]

    return read


def test_the_reference_from_the_first_start_on_is_no_change(store, lines):
    assert not note_engine(store, "wnet@1", "openvino-fp32", "alpha")
    assert lines(store) == []


def test_another_precision_is_written_once_and_so_is_the_way_back(store, lines):
    assert note_engine(store, "wnet@1", "openvino-int8", "alpha")
    assert not note_engine(store, "wnet@1", "openvino-int8", "alpha")  # the next start
    assert not note_engine(store, "wnet@2", "openvino-int8", "alpha")  # and another bundle
    assert note_engine(store, "wnet@2", "openvino-fp32", "alpha")
    assert lines(store) == [
        ("worker on alpha", "fp32", "int8", "openvino", "wnet@1"),
        ("worker on alpha", "int8", "fp32", "openvino", "wnet@2"),
    ]


def test_each_host_has_its_own_line(store, lines):
    for host in ("alpha", "beta", "alpha", "beta"):
        note_engine(store, "wnet@1", "openvino-int8", host)
    assert [who for who, *_ in lines(store)] == ["worker on alpha", "worker on beta"]


def test_an_update_from_int8_by_default_to_the_reference_is_a_change(
    store, lines, drop, make_slide, queue_slide, make_work, fake_engine
):
    make_slide(drop, "S-1", 4)
    fake_engine.name = "openvino-int8"  # what the version before served with
    make_work(store, fake_engine).do(queue_slide(store))
    assert note_engine(store, "wnet@1", "openvino-fp32", "alpha")
    assert lines(store) == [("worker on alpha", "int8", "fp32", "openvino", "wnet@1")]


def test_workers_that_start_at_the_same_time_write_one_line(store, lines):
    threads = [threading.Thread(target=note_engine, args=(store, "wnet@1", "openvino-int8", "alpha")) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines(store)) == 1


def test_it_is_written_before_the_first_slide_is_classified_so(store, bundle, fake_engine, lines):
    register(store, bundle)
    fake_engine.name = "openvino-int8"
    opened = []

    def note(bundle_id, backend):
        opened.append((bundle_id, backend))
        note_engine(store, bundle_id, backend, "alpha")

    serving = ServingEngine(store, bundle.folder.parent, lambda _: fake_engine, opened=note)
    serving.get()
    serving.get()
    assert opened == [(bundle.bundle_id, "openvino-int8")]
    assert len(lines(store)) == 1


def test_a_long_host_name_fits_the_audit(store, lines):
    assert note_engine(store, "wnet@1", "openvino-int8", "h" * 253)
    assert len(lines(store)[0][0]) <= 64
