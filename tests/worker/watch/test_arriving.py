"""How a slide arrives: found by scan or event, followed until it has settled."""

import json

from sqlmodel import select

from smear.tables import DifferentialRow, RevisionRow
from worker import arrivals


DONE = {("S-1", 1): "classified"}


def test_a_slide_that_was_there_before_the_watcher_is_found_at_once(drop, make_slide, make_service):
    make_slide(drop, "S-1", 3)
    service = make_service()
    assert service.states() == {("S-1", 1): "arriving"}
    service.run(9.5)
    assert service.states() == {("S-1", 1): "arriving"}
    service.run(0.5)
    assert service.states() == DONE
    assert service.totals() == [3]


def test_a_new_slide_is_found_within_one_scan_without_any_event(drop, make_slide, service):
    make_slide(drop, "S-1", 3)
    service.run(59.5)
    assert service.states() == {}
    service.run(11)
    assert service.states() == DONE


def test_an_event_makes_it_sooner(drop, make_slide, service):
    make_slide(drop, "S-1", 3)
    service.wake("S-1")
    service.run(10.5)
    assert service.states() == DONE


def test_a_marker_makes_it_sooner_still(drop, make_slide, service):
    (make_slide(drop, "S-1", 3) / ".complete").touch()
    service.wake("S-1")
    service.run(2.5)
    assert service.states() == DONE


def test_an_expected_count_is_waited_for(drop, make_slide, service):
    (make_slide(drop, "S-1", 3) / "slide.json").write_text(json.dumps({"expected_cells": 4, "order_id": "O-1"}))
    service.wake("S-1")
    service.run(3)
    assert service.states() == {("S-1", 1): "arriving"}
    make_slide(drop, "S-1", 1, first=3)
    service.wake("S-1")
    service.run(3)
    assert service.states() == DONE
    assert service.totals() == [4]
    with service.store.read() as session:
        assert session.exec(select(RevisionRow)).one().sidecar == {"expected_cells": 4, "order_id": "O-1"}


def test_a_half_copied_picture_is_not_queued(drop, make_slide, service):
    folder = make_slide(drop, "S-1", 3)
    (folder / ".complete").touch()
    whole = (folder / "cell_002.jpg").read_bytes()
    (folder / "cell_002.jpg").write_bytes(whole[:5000])
    service.wake("S-1")
    service.run(5)
    assert service.states() == {("S-1", 1): "arriving"}
    (folder / "cell_002.jpg").write_bytes(whole)
    service.wake("S-1")
    service.run(3)
    assert service.states() == DONE
    with service.store.read() as session:
        assert session.exec(select(DifferentialRow)).one().problems == []


def test_an_empty_folder_is_no_slide_yet(drop, make_slide, service):
    (drop / "S-1").mkdir()
    (drop / "S-1" / "readme.txt").touch()
    service.run(130)
    assert service.states() == {}
    make_slide(drop, "S-1", 3)
    service.run(75)
    assert service.states() == DONE


def test_a_body_fluid_slide_is_listed_and_left_alone(drop, make_slide, service):
    make_slide(drop, "BFS-1", 3)
    service.run(75)
    assert service.states() == {("BFS-1", 1): "listed"}
    make_slide(drop, "BFS-1", 1, first=3)
    service.wake("BFS-1")
    service.run(75)
    assert service.states() == {("BFS-1", 1): "listed"}
    assert service.totals() == []


def test_a_slide_that_was_arriving_when_the_watcher_died_is_followed_again(drop, make_slide, service):
    make_slide(drop, "S-1", 3)
    service.wake("S-1")
    service.run(5)
    service.start()
    service.run(10)
    assert service.states() == DONE


def test_a_slide_that_a_worker_handed_back_settles_anew(drop, make_slide, service):
    make_slide(drop, "S-1", 3)
    service.wake("S-1")
    service.run(1)
    (known,) = arrivals.known_slides(service.store, 1).values()
    arrivals.settle(service.store, known.revision, None, blood=True)
    service.run(1.5)  # seen as queued, and classified
    assert service.states() == DONE
