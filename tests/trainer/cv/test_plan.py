import csv
import shutil
from dataclasses import replace
from itertools import combinations

import cv2
import numpy as np
import pytest
import torch

from smear.cells import CELL_TYPES
from smear.labelled import BadDataFolder, read_folder
from tests.trainer.cv.conftest import PER_TYPE
from trainer.cv import plan as planning
from trainer.cv.assign import assign
from trainer.recipes import SMOKE, Recipe
from trainer.training_set import Withheld


@pytest.fixture
def entangled(own_data):
    """Pictures that belong together: pairs of a slide, a file twice, and two turned and encoded again."""
    with (own_data / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "label", "group"])
        for cell_type in CELL_TYPES:
            for i, picture in enumerate(sorted((own_data / cell_type).iterdir())[:4]):
                # Slides hold cells of two types.
                rows.writerow([f"{cell_type}/{picture.name}", cell_type, f"slide {i % 2} {cell_type < 'm'}"])
    for cell_type in CELL_TYPES[:2]:
        pictures = sorted((own_data / cell_type).iterdir())
        shutil.copy(pictures[-1], own_data / cell_type / "twin.jpg")
        turned = cv2.rotate(cv2.imread(str(pictures[-2])), cv2.ROTATE_90_CLOCKWISE)
        cv2.imwrite(str(own_data / cell_type / "turned.jpg"), turned, [cv2.IMWRITE_JPEG_QUALITY, 80])
    return own_data


def _contents(plan, rows):
    return [plan.pixels.cells[row].sha256 for row in rows]


def _strings(pixels, rows):
    """What a cell is not independent of, by our own account: its slide, its content, the picture it was made of."""
    for row in rows:
        cell = pixels.cells[row]
        yield f"content {cell.sha256}"
        if cell.group is not None:
            yield f"slide {cell.group}"
        originals = sorted(path.name for path in cell.path.parent.iterdir() if path.stem not in {"twin", "turned"})
        if cell.path.name in {"turned.jpg", originals[-2]}:
            yield f"turned {cell.cell_type}"


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_every_cell_is_tested_once_and_no_fold_knows_what_it_is_tested_on(entangled, make_order, share):
    plan = planning.make(make_order(entangled, folds=3, recipe=Recipe(inner_share=share)))
    tested = []
    for fold in plan.folds:
        train, inner, test = plan.fold_rows(fold)
        assert sorted([*train, *inner, *test]) == list(range(5 * PER_TYPE + 4))
        assert bool(len(inner)) == bool(share)
        for one, other in combinations((train, inner, test), 2):
            assert not set(_strings(plan.pixels, one)) & set(_strings(plan.pixels, other))
            assert not set(plan.assignment.group[one]) & set(plan.assignment.group[other])
        tested += test.tolist()
    assert sorted(tested) == list(range(5 * PER_TYPE + 4))
    grouping = plan.run["grouping"]
    assert grouping["metadata_groups"] == 4
    assert grouping["exact_duplicates"] == 2
    assert (grouping["near_duplicate_groups"], grouping["near_duplicate_pictures"]) == (2, 4)


def test_tuning_leaves_its_own_test_cells_and_all_that_is_withheld_alone(tiny_data, make_order, monkeypatch):
    cells = read_folder(tiny_data)
    holdout, samples = frozenset({cells[0].sha256, cells[9].sha256}), frozenset({cells[-1].sha256})
    monkeypatch.setattr(planning, "withheld", lambda: Withheld(holdout, samples))
    plan = planning.make(make_order(folds=4, tune=True))
    assert plan.folds == [0, 1]
    assert plan.run["tune"] is True
    assert plan.run["images"] == len(cells) - 3
    assert not {cell.sha256 for cell in plan.pixels.cells} & (holdout | samples)
    fold = plan.assignment.fold
    for own, scored_on in ((0, 2), (1, 3)):
        train, inner, test = plan.fold_rows(own)
        assert test.tolist() == np.flatnonzero(fold == scored_on).tolist()
        assert sorted([*train, *inner, *test]) == np.flatnonzero(fold != own).tolist()
        assert not set(train) & set(inner)


def test_without_tuning_nothing_is_withheld(tiny_data, make_order, monkeypatch):
    everything = frozenset(cell.sha256 for cell in read_folder(tiny_data))
    monkeypatch.setattr(planning, "withheld", lambda: Withheld(everything, frozenset()))
    assert planning.make(make_order()).run["images"] == 5 * PER_TYPE


def test_what_the_files_are_called_decides_nothing(entangled, make_order, tmp_path):
    (entangled / "metadata.csv").unlink()
    renamed = tmp_path / "renamed" / "tiny"
    for cell_type in CELL_TYPES:
        (renamed / cell_type).mkdir(parents=True)
        for i, picture in enumerate(sorted((entangled / cell_type).iterdir(), reverse=True)):
            shutil.copy(picture, renamed / cell_type / f"{i:03}.jpg")
    one, other = (planning.make(make_order(data, folds=4)) for data in (entangled, renamed))
    for key in ("data_sha256", "assignment_sha256", "images", "counts"):
        assert one.run[key] == other.run[key]
    for fold in one.folds:
        for ours, theirs in zip(one.fold_rows(fold), other.fold_rows(fold), strict=True):
            assert _contents(one, ours) == _contents(other, theirs)
    np.testing.assert_array_equal(one.pixels.images, other.pixels.images)


def test_another_seed_and_another_slide_are_another_division(entangled, make_order):
    plans = [planning.make(make_order(entangled, seed=seed)) for seed in (0, 1)]
    (entangled / "metadata.csv").unlink()
    plans.append(planning.make(make_order(entangled)))
    assert len({plan.run["assignment_sha256"] for plan in plans}) == 3
    assert len({plan.run["data_sha256"] for plan in plans}) == 1


def test_the_largest_seed_that_can_be_given_divides_and_trains(make_order):
    largest = 2**32 - 1
    assert planning.make(make_order(seed=largest)).run["seed"] == largest
    torch.manual_seed(largest * 1000 + 99)
    np.random.default_rng([largest * 1000 + 99, 500])


def test_a_type_that_calibration_takes_away_from_a_training_part_is_named(own_data, make_order):
    for picture in sorted((own_data / "monocyte").iterdir())[2:]:
        picture.unlink()
    with pytest.raises(BadDataFolder, match=r"of type monocyte: fold 0 has none to train on"):
        planning.make(make_order(own_data))
    without = replace(make_order(own_data), recipe=Recipe(inner_share=0))
    assert planning.make(without).run["counts"]["monocyte"] == 2


def test_a_type_that_a_fold_cannot_be_scored_on_is_named(make_order, monkeypatch):
    def uneven(pixels, folds, seed):
        """A fake: no fold but the last tests a basophil, as large slides can bring about."""
        made = assign(pixels, folds, seed)
        return replace(made, fold=np.where(pixels.labels == CELL_TYPES.index("basophil"), folds - 1, made.fold))

    monkeypatch.setattr(planning, "assign", uneven)
    with pytest.raises(BadDataFolder, match=r"of type basophil: fold 0 has none to be scored on"):
        planning.make(make_order(folds=3))


def test_a_thinned_set_holds_the_first_of_each_type_by_content(tiny_data, make_order):
    plan = planning.make(make_order(recipe=replace(SMOKE, pictures_per_type=6)))
    expected = [
        sorted(cell.sha256 for cell in read_folder(tiny_data) if cell.cell_type == cell_type)[:6]
        for cell_type in CELL_TYPES
    ]
    assert {cell.sha256 for cell in plan.pixels.cells} == {content for of_type in expected for content in of_type}
    assert plan.run["counts"] == dict.fromkeys(CELL_TYPES, 6)
    # A set with fewer is taken whole.
    assert planning.make(make_order(recipe=SMOKE)).run["images"] == 5 * PER_TYPE


def test_a_picture_that_cannot_be_used_is_refused_or_skipped_and_written_down(own_data, make_order):
    (own_data / "monocyte" / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(BadDataFolder, match=r"1 of the pictures .* first monocyte/broken.jpg: .* --skip-unusable"):
        planning.make(make_order(own_data))
    plan = planning.make(make_order(own_data, skip_unusable=True))
    assert plan.run["images"] == 5 * PER_TYPE
    assert [refused["file"] for refused in plan.run["refused"]] == ["monocyte/broken.jpg"]


def test_another_laboratorys_pictures_are_refused_or_skipped_likewise(own_data, tiny_data, make_order):
    (own_data / "monocyte" / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(BadDataFolder, match=r"first monocyte/broken.jpg"):
        planning.make(make_order(tiny_data, elsewhere=own_data))
    plan = planning.make(make_order(tiny_data, elsewhere=own_data, skip_unusable=True))
    assert len(plan.elsewhere.labels) == 5 * PER_TYPE
    assert plan.run["elsewhere"] == "tiny"


def test_a_fold_that_would_test_nothing_is_refused(make_order, monkeypatch):
    def all_in_one(pixels, folds, seed):
        found = assign(pixels, folds, seed)
        return replace(found, fold=np.ones_like(found.fold))

    monkeypatch.setattr(planning, "assign", all_in_one)
    with pytest.raises(BadDataFolder, match="type neutrophil: fold 0 has none to be scored on"):
        planning.make(make_order())
