"""What of a sidecar is not understood is named: in the JSON objects, in the dry run."""

import pytest

from worker.results import results
from worker.watch.dry_run import dry_run


BROKEN = {
    "file": "slide.json",
    "reason": "not used: not valid JSON, or part of it is missing",
}
WRONG = {"file": "slide.json", "reason": 'wbc_10e9_L is not used: it must be a number from 0 to 10,000; found "abc"'}


@pytest.mark.parametrize(
    ("text", "problem", "sidecar"),
    [("{", BROKEN, None), ('{"wbc_10e9_L": "abc", "order_id": "O-1"}', WRONG, {"order_id": "O-1"})],
)
def test_a_sidecar_that_is_not_understood_is_a_problem_of_its_slide(
    drop, make_slide, either_service, text, problem, sidecar
):
    (make_slide(drop, "S-1", 3) / "slide.json").write_text(text)
    either_service.run(75)
    (result,) = results(either_service.store)
    assert result.to_object()["problems"] == [problem]
    assert result.revision.sidecar == sidecar
    assert result.revision.state == "classified"
    (seen,) = dry_run(either_service.settings)
    assert seen.problems == [problem]


def test_the_second_of_two_sidecars_is_named_as_not_used(drop, make_slide, service):
    folder = make_slide(drop, "S-1", 3)
    (folder / "slide.json").write_text('{"order_id": "O-1"}')
    (folder / "slide.xml").write_text("<s><order_id>O-2</order_id></s>")
    service.run(75)
    (result,) = results(service.store)
    assert result.to_object()["problems"] == [{"file": "slide.xml", "reason": "not used: slide.json takes precedence"}]
    assert result.revision.sidecar == {"order_id": "O-1"}


@pytest.mark.parametrize("kind", ["link", "large"])
def test_a_sidecar_that_cannot_be_read_is_named(drop, make_slide, service, kind):
    path = make_slide(drop, "S-1", 3) / "slide.json"
    if kind == "link":
        path.symlink_to("elsewhere.json")
    else:
        path.write_bytes(b" " * 100_000)
    service.run(75)
    (result,) = results(service.store)
    (problem,) = result.to_object()["problems"]
    assert problem["file"] == "slide.json"
    assert problem["reason"].startswith("not used: ")


def test_classify_names_a_broken_sidecar_and_ends_with_1(worker, drop, make_slide, json_lines):
    folder = make_slide(drop, "S-1", 3)
    (folder / "slide.json").write_text("{")
    done = worker("classify", folder, "--json")
    assert done.returncode == 1
    assert json_lines(done.stdout)[0]["problems"] == [BROKEN]


def test_in_layout_flat_a_sidecar_bears_the_slides_name(drop, sample_pictures, make_service):
    for n in range(3):
        (drop / f"S-1_{n}.jpg").write_bytes(sample_pictures[n].read_bytes())
    (drop / "S-1.json").write_text("{")
    service = make_service(layout="flat")
    service.run(75)
    (result,) = results(service.store)
    assert [problem["file"] for problem in result.to_object()["problems"]] == ["S-1.json"]
