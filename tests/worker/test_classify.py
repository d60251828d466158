"""From read pictures to a slide's result: contents are counted once, problems named."""

import numpy as np
import pytest

from smear.cells import CELL_TYPES
from smear.decision import Calibration, OutsideDetector
from smear.geometry import profile
from smear.layout import layout
from worker.classify import BadAnswer, classify
from worker.reading import SlideReader


@pytest.fixture
def run(drop, bundle, fake_engine):
    reader = SlideReader(1)

    def make(folder="S-1", engine=fake_engine, bundle=bundle, min_cells=3):
        chunks = reader.read(drop, folder, layout("slides").look(drop, folder), profile("di60"))
        return classify(chunks, bundle, engine, min_cells=min_cells, low_count_cells=10)

    yield make
    reader.close()


@pytest.fixture
def plain(bundle):
    """The shipped bundle as nobody calibrated it: nothing is outside."""
    calibration = Calibration(temperature=1, outside=OutsideDetector(score="max-probability", threshold=1))
    return type(bundle)(bundle.folder, bundle.manifest.model_copy(update={"calibration": calibration}))


def test_each_content_is_counted_and_asked_for_once(drop, make_slide, run, plain, fake_engine):
    folder = make_slide(drop, "S-1", 4)
    for n in range(3):
        (folder / f"again_{n}.jpg").write_bytes((folder / "cell_001.jpg").read_bytes())
    result = run(bundle=plain)
    assert sum(fake_engine.batches) == 4
    assert (len(result.files), len(result.cells)) == (7, 4)
    assert result.cell_counts == {"total": 4, "classified": 4}
    assert sum(result.differential.counts.values()) == 4
    by_file = {picture.path: cell for picture, cell in result.files}
    assert by_file["again_2.jpg"] == by_file["cell_001.jpg"]


def test_a_duplicate_in_another_chunk_is_the_same_cell(drop, make_slide, run, plain, fake_engine, monkeypatch):
    monkeypatch.setattr("worker.reading.CHUNK", 2)
    folder = make_slide(drop, "S-1", 4)
    (folder / "zzz.jpg").write_bytes((folder / "cell_000.jpg").read_bytes())
    result = run(bundle=plain)
    assert fake_engine.batches == [2, 2]
    assert result.cell_counts["total"] == 4


def test_a_broken_content_that_comes_twice_is_one_cell_but_two_named_files(drop, make_slide, run):
    folder = make_slide(drop, "S-1", 3)
    for name in ("a.jpg", "b.jpg"):
        (folder / name).write_bytes(b"the same rubbish")
        (folder / name).with_suffix(".png").symlink_to("cell_000.jpg")
    result = run()
    assert result.cell_counts["unreadable"] == 3  # one content, and two links that cannot be told apart
    assert [p["file"] for p in result.problems] == ["a.jpg", "a.png", "b.jpg", "b.png"]
    assert all(p["reason"] for p in result.problems)


def test_probabilities_types_and_counts_agree(drop, make_slide, run, plain):
    make_slide(drop, "S-1", 30)
    result = run(bundle=plain)
    counted = dict.fromkeys(CELL_TYPES, 0)
    for cell in result.cells:
        assert sum(cell.probabilities) == pytest.approx(1, abs=1e-5)
        assert CELL_TYPES[int(np.argmax(cell.probabilities))] == cell.cell_type
        counted[cell.cell_type] += 1
    assert result.differential.counts == counted
    assert result.backend == "fake-fp32"
    assert result.bundle_id == plain.bundle_id


def test_a_cell_outside_the_five_is_not_counted_among_them(drop, make_slide, run, plain):
    make_slide(drop, "S-1", 6)
    always = Calibration(temperature=1, outside=OutsideDetector(score="max-probability", threshold=0))
    outside = type(plain)(plain.folder, plain.manifest.model_copy(update={"calibration": always}))
    result = run(bundle=outside)
    assert result.cell_counts == {"total": 6, "outside": 6}
    assert sum(result.differential.counts.values()) == 0
    assert result.failure is None
    assert result.problems == []
    assert all(cell.cell_type and cell.outside_score is not None for cell in result.cells)


def test_no_pixels_are_held_once_a_chunk_is_done(drop, make_slide, run):
    make_slide(drop, "S-1", 3)
    assert all(picture.pixels is None for picture, _ in run().files)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_answer_that_is_no_number_is_not_used(drop, make_slide, run, fake_engine, value):
    class FakeBrokenEngine:
        name = "fake-broken"

        def infer(self, images):
            logits, features = fake_engine.infer(images)
            logits[-1, 2] = value
            return logits, features

    make_slide(drop, "S-1", 3)
    with pytest.raises(BadAnswer, match="fake-broken answered with values that are not numbers"):
        run(engine=FakeBrokenEngine())


def test_a_slide_of_nothing_usable_says_why(drop, run):
    (drop / "S-1").mkdir()
    assert run().failure == "no pictures in its folder"
    (drop / "S-1" / "x.jpg").write_bytes(b"")
    result = run()
    assert result.failure == "its only picture could not be used; x.jpg: empty file"
    told = result.to_object(source="default", slide_id="S-1")
    assert (told["state"], told["percent"], told["cells"]["unreadable"]) == ("failed", None, 1)
