"""How many pictures a slide announces and how many came, from the folder to the JSON object."""

import json

from worker.gaps import gaps
from worker.results import results
from worker.watch.dry_run import dry_run


def told(store):
    return [result.to_object() for result in results(store)]


def announce(folder, n):
    (folder / "slide.json").write_text(json.dumps({"expected_cells": n}))


def test_a_slide_that_lacks_pictures_is_incomplete_in_results_and_status(drop, make_slide, either_service):
    announce(make_slide(drop, "S-1", 6), 9)
    announce(make_slide(drop, "S-2", 6), 6)
    make_slide(drop, "S-3", 6)
    either_service.run(75)
    found = {one["slide_id"]: (one["expected_cells"], one["complete"]) for one in told(either_service.store)}
    assert found == {"S-1": (9, False), "S-2": (6, True), "S-3": (None, None)}
    with either_service.store.read() as session:
        assert gaps(session)["incomplete"] == {"slides": 1, "days": 7}


def test_two_files_of_one_content_are_two_files(drop, make_slide, service):
    folder = make_slide(drop, "S-1", 5)
    (folder / "copy.jpg").write_bytes((folder / "cell_000.jpg").read_bytes())
    announce(folder, 6)
    service.run(75)
    (one,) = told(service.store)
    assert (one["cells"]["total"], one["complete"]) == (5, True)


def test_a_manifest_that_lists_more_than_is_there_makes_a_slide_incomplete(drop, make_slide, make_service):
    folder = make_slide(drop, "S-1", 5)
    (folder / "unlisted.jpg").write_bytes((folder / "cell_000.jpg").read_bytes() + b"\0")
    names = [f"cell_{n:03}.jpg" for n in range(7)]
    (folder / "manifest.json").write_text(json.dumps({"files": dict.fromkeys(names)}))
    service = make_service(layout="manifest")
    service.run(75)
    (one,) = told(service.store)
    assert (one["files"], one["expected_cells"], one["complete"]) == (5, 7, False)


def test_classify_reads_the_sidecar_too(worker, drop, make_slide, json_lines):
    folder = make_slide(drop, "S-1", 60)
    (folder / "slide.json").write_text('{"expected_cells": 80, "wbc_10e9_L": 500}')
    done = worker("classify", folder, "--json")
    (one,) = json_lines(done.stdout)
    assert (one["expected_cells"], one["complete"]) == (80, False)
    assert {flag["basis"] for flag in one["flags"]} == {"absolute"}


def test_the_dry_run_tells_an_incomplete_slide(drop, make_slide, settings):
    announce(make_slide(drop, "S-1", 6), 9)
    (one,) = dry_run(settings)
    assert one.expected_cells == 9
    assert {"file": "", "reason": "incomplete: 6 of 9"} in one.problems
