from pathlib import Path

import numpy as np
import pytest

from smear.cells import CELL_TYPES
from smear.labelled import BadDataFolder, LabelledCell, Pixels
from trainer.cv.assign import assign


def _cells(pixels, rows, group=lambda _: None):
    cells = [pixels.cells[row] for row in rows]
    cells = [LabelledCell(c.path, c.cell_type, c.sha256, group(i)) for i, c in enumerate(cells)]
    return Pixels(pixels.images[rows], pixels.labels[rows], cells, [])


@pytest.fixture
def fifty(holdout):
    return np.concatenate([np.flatnonzero(holdout.labels == i)[:10] for i in range(5)])


def test_every_fold_tests_as_many_cells_of_each_type(holdout, fifty):
    pixels = _cells(holdout, fifty)
    fold = assign(pixels, 5, seed=0).fold
    for index in range(5):
        assert np.bincount(fold[pixels.labels == index], minlength=5).tolist() == [2] * 5


def test_the_seed_decides_and_nothing_else(holdout, fifty):
    pixels = _cells(holdout, fifty)
    one, same, other = (assign(pixels, 5, seed).fold for seed in (0, 0, 1))
    assert (one == same).all()
    assert (one != other).any()


def test_a_slides_cells_stay_in_one_fold(holdout, fifty):
    pixels = _cells(holdout, fifty, lambda i: f"slide {i // 3}")
    found = assign(pixels, 3, seed=0)
    assert found.metadata_groups == 17
    for slide in range(17):
        assert len(set(found.fold[3 * slide : 3 * slide + 3])) == 1
    assert set(found.fold) == {0, 1, 2}


def test_copies_turned_and_mirrored_stay_with_their_original_and_are_reported(holdout, fifty):
    pixels = _cells(holdout, fifty)
    copies = np.stack([np.rot90(image[:, ::-1]) for image in pixels.images[::10]])
    cells = [
        LabelledCell(Path(f"copies/{i}.png"), cell.cell_type, f"{i:064d}") for i, cell in enumerate(pixels.cells[::10])
    ]
    both = Pixels(
        np.concatenate([pixels.images, copies]),
        np.concatenate([pixels.labels, pixels.labels[::10]]),
        pixels.cells + cells,
        [],
    )
    found = assign(both, 5, seed=0)
    assert (found.fold[:50:10] == found.fold[50:]).all()
    report = found.as_json()
    assert (report["near_duplicate_groups"], report["near_duplicate_pictures"], report["largest"]) == (5, 10, 2)
    assert [f"{pixels.cells[0].path.parent.name}/{pixels.cells[0].path.name}", "copies/0.png"] in report["examples"]


def test_the_same_file_twice_is_counted_and_kept_together(holdout, fifty):
    twice = np.concatenate([fifty, fifty[:3]])
    found = assign(_cells(holdout, twice), 5, seed=0)
    assert found.exact_duplicates == 3
    assert (found.fold[:3] == found.fold[50:]).all()
    assert found.as_json()["near_duplicate_groups"] == 0


def test_a_type_with_fewer_slides_than_folds_is_named(holdout, fifty):
    pixels = _cells(holdout, fifty, lambda i: f"slide {i // 10}")
    with pytest.raises(BadDataFolder, match=f"1 pictures .* of type {CELL_TYPES[0]} cannot be divided into 2 folds"):
        assign(pixels, 2, seed=0)
