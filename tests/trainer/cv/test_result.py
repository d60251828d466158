import json
import os
import shutil

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from smear.cells import CELL_TYPES
from smear.labelled import data_sha256, read_folder
from tests.trainer.cv.conftest import EPOCHS, FOLDS, PER_TYPE, one_sentence
from trainer.run_folder import open_run


def _cv(out):
    return json.loads((out / "cv.json").read_text(encoding="utf-8"))


def _cells(out):
    return pq.read_table(out / "cells.parquet").to_pylist()


def _right(cell) -> bool:
    return max(CELL_TYPES, key=lambda t: cell[f"p_{t}"]) == cell["type"]


def _recall(cells):
    return {t: np.mean([_right(cell) for cell in cells if cell["type"] == t]) for t in CELL_TYPES}


def test_cv_json_has_the_documented_keys_with_their_types(finished, tiny_data):
    found = _cv(finished)
    expected = {
        "model": "wnet", "recipe": "tiny", "parameters": 16_806_949, "images": 5 * PER_TYPE, "data": "tiny",
        "data_sha256": data_sha256(read_folder(tiny_data)), "seed": 0, "epochs": EPOCHS, "shortened": None,
        "geometry": "whole", "init": None, "tune": False, "views": 8, "elsewhere": None,
    }  # fmt: skip
    assert {key: found[key] for key in expected} == expected
    for number, fold in enumerate(found["folds"]):
        assert set(fold) == {"fold", "n", "recall", "accuracy"}
        assert fold["fold"] == number
        assert fold["n"] == dict.fromkeys(CELL_TYPES, PER_TYPE // FOLDS)
        assert list(fold["recall"]) == list(CELL_TYPES)
        assert all(0 <= value <= 1 for value in [*fold["recall"].values(), fold["accuracy"]])
    assert len(found["folds"]) == FOLDS
    assert set(found["mean"]) == {"recall", "class_average", "accuracy", "accuracy_std"}
    assert set(found["pooled"]) >= {"recall", "class_average", "accuracy"}
    for part in ("mean", "pooled"):
        assert list(found[part]["recall"]) == list(CELL_TYPES)
        assert all(isinstance(found[part][key], float) for key in ("class_average", "accuracy"))
    assert all(isinstance(found[key], float) and found[key] > 0 for key in ("seconds", "fold_seconds"))


@pytest.mark.parametrize("real", [True, False])
def test_the_figures_are_those_that_the_cells_give_by_hand(request, cv, tmp_path, real):
    out = request.getfixturevalue("finished") if real else tmp_path / "run"
    if not real:
        assert cv(out).exit_code == 0
    found, cells = _cv(out), _cells(out)
    for fold in found["folds"]:
        own = [cell for cell in cells if cell["fold"] == fold["fold"]]
        assert fold["recall"] == pytest.approx(_recall(own), abs=1e-6)
        assert fold["accuracy"] == pytest.approx(np.mean([_right(cell) for cell in own]), abs=1e-6)
    mean, pooled = found["mean"], found["pooled"]
    over_folds = {t: np.mean([fold["recall"][t] for fold in found["folds"]]) for t in CELL_TYPES}
    assert mean["recall"] == pytest.approx(over_folds, abs=2e-6)
    accuracies = [fold["accuracy"] for fold in found["folds"]]
    assert mean["accuracy"] == pytest.approx(np.mean(accuracies), abs=2e-6)
    assert mean["accuracy_std"] == pytest.approx(np.std(accuracies), abs=2e-6)
    assert pooled["recall"] == pytest.approx(_recall(cells), abs=1e-6)
    assert pooled["class_average"] == pytest.approx(np.mean(list(_recall(cells).values())), abs=1e-6)
    assert pooled["accuracy"] == pytest.approx(np.mean([_right(cell) for cell in cells]), abs=1e-6)
    for figure, (low, high) in pooled["ci95"].items():
        assert low <= pooled[figure] <= high


def test_every_cell_is_there_once_with_its_probabilities(finished, tiny_data):
    cells = _cells(finished)
    assert sorted(cell["sha256"] for cell in cells) == sorted(cell.sha256 for cell in read_folder(tiny_data))
    for cell in cells:
        assert (tiny_data / cell["file"]).is_file()
        assert cell["file"].startswith(cell["type"])
        assert sum(cell[f"p_{t}"] for t in CELL_TYPES) == pytest.approx(1, abs=1e-5)


def test_another_laboratorys_cells_are_told_as_they_are_and_in_standard_colours(cv, own_data, tmp_path):
    result = cv(tmp_path / "run", "--elsewhere", own_data, "--folds", 4)
    assert result.exit_code == 0, result.stderr
    found = _cv(tmp_path / "run")["elsewhere"]
    # The fake networks reach 30, 40, 50 and 60 % there, and twice 30 points more with standardised colours.
    assert (found["data"], found["geometry"], found["images"]) == ("tiny", "whole", 5 * PER_TYPE)
    assert found["class_average"] == pytest.approx(0.45)
    assert found["class_average_std"] == pytest.approx(np.std([0.3, 0.4, 0.5, 0.6]), abs=1e-6)
    assert found["colours_standardised"]["class_average"] == pytest.approx(0.75)
    assert found["colours_standardised"]["recall"] == pytest.approx(dict.fromkeys(CELL_TYPES, 0.65))


def test_what_the_person_waited_is_not_what_the_folds_worked(cv, tmp_path):
    out = tmp_path / "run"
    assert cv(out).exit_code == 0
    first = _cv(out)
    assert first["fold_seconds"] == 20.0  # ten for each fake fold
    assert 0 < first["seconds"] < 20
    assert cv(out).exit_code == 0
    assert _cv(out) == first


def test_a_second_call_adds_its_seconds_to_those_before(cv, tmp_path):
    out = tmp_path / "run"
    assert cv(out).exit_code == 0
    (out / "seconds.json").write_text("1000.0", encoding="utf-8")
    (out / "folds" / "01" / "probabilities.npy").unlink()
    assert cv(out).exit_code == 0
    assert 1000 < _cv(out)["seconds"] < 1100
    # Nothing is lost but a figure.
    (out / "seconds.json").write_text("many", encoding="utf-8")
    assert cv(out).exit_code == 0


def test_pictures_of_one_slide_and_near_duplicates_are_groups_and_others_are_none(cv, own_data, tmp_path):
    first, *_, last = sorted((own_data / "monocyte").iterdir())
    cv2.imwrite(str(own_data / "monocyte" / "turned.jpg"), cv2.rotate(cv2.imread(str(last)), cv2.ROTATE_180))
    (own_data / "metadata.csv").write_text(f"file,label,group\nmonocyte/{first.name},monocyte,slide 7\n")
    assert cv(tmp_path / "run", data=own_data).exit_code == 0
    groups = {cell["file"]: cell["group"] for cell in _cells(tmp_path / "run")}
    copies = groups.pop("monocyte/turned.jpg")
    assert copies.startswith("copies ")
    assert groups.pop(f"monocyte/{last.name}") == copies
    assert groups.pop(f"monocyte/{first.name}") == "slide 7"
    assert set(groups.values()) == {None}
    assert open_run(tmp_path / "run").cells.groups.count(copies) == 2


def test_a_picture_whose_name_is_no_text_goes_through_to_the_report(cv, own_data, tmp_path):
    picture = min((own_data / "monocyte").iterdir())
    odd = own_data / "monocyte" / os.fsdecode(b"\xe4[b]<b>.jpg")
    picture.rename(odd)
    broken = own_data / "monocyte" / os.fsdecode(b"broken\xff[b].jpg")
    broken.write_bytes(b"no picture")
    result = cv(tmp_path / "run", "--skip-unusable", data=own_data, report=True)
    assert result.exit_code == 0, result.stderr
    assert r"left out 1 pictures, first monocyte/broken\xff[b].jpg: " in result.stderr
    assert r"monocyte/\xe4[b]<b>.jpg" in {cell["file"] for cell in _cells(tmp_path / "run")}
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert r"monocyte/broken\xff[b].jpg" in page
    assert "<b>.jpg" not in page


def test_a_damaged_result_is_removed_and_made_again(cv, fake_folds, tmp_path):
    out = tmp_path / "run"
    assert cv(out).exit_code == 0
    before = _cv(out)
    for fold, spoil in enumerate([lambda content: content[:200], lambda _: b""]):
        path = out / "folds" / f"{fold:02d}" / "probabilities.npy"
        path.write_bytes(spoil(path.read_bytes()))
        result = cv(out)
        assert result.exit_code == 1
        sentence = one_sentence(result.stdout, result.stderr)
        assert f"the result of fold {fold} was damaged and has been removed" in sentence
        assert "the same command goes on from there" in sentence
        assert not path.exists()
        fake_folds.trained.clear()
        assert cv(out).exit_code == 0
        assert fake_folds.trained == [fold]
        assert _cv(out)["pooled"] == before["pooled"]


@pytest.mark.parametrize("wrong", [np.zeros((3, 5)), np.full((20, 5), np.nan), np.zeros(20), np.array(["x"])])
def test_a_result_of_another_shape_or_without_numbers_counts_as_damaged(cv, tmp_path, wrong):
    assert cv(tmp_path / "run").exit_code == 0
    np.save(tmp_path / "run" / "folds" / "01" / "probabilities.npy", wrong)
    result = cv(tmp_path / "run")
    assert result.exit_code == 1
    assert "the result of fold 1 was damaged" in one_sentence(result.stdout, result.stderr)


@pytest.mark.parametrize("content", [None, b"", b'{"fold": 1', b"[]", b'{"fold": 1}'])
def test_a_damaged_curve_counts_as_a_damaged_result(cv, fake_folds, tmp_path, content):
    assert cv(tmp_path / "run").exit_code == 0
    curve = tmp_path / "run" / "folds" / "01" / "curve.json"
    curve.unlink()
    if content is not None:
        curve.write_bytes(content)
    result = cv(tmp_path / "run")
    assert result.exit_code == 1
    assert "the result of fold 1 was damaged" in one_sentence(result.stdout, result.stderr)
    fake_folds.trained.clear()
    assert cv(tmp_path / "run").exit_code == 0
    assert fake_folds.trained == [1]


def test_a_tuning_run_has_two_folds_and_says_that_it_is_no_result(cv, tmp_path):
    assert cv(tmp_path / "run", "--tune", "--folds", 4, report=True).exit_code == 0
    found = _cv(tmp_path / "run")
    assert found["tune"] is True
    assert [fold["fold"] for fold in found["folds"]] == [0, 1]
    assert len(_cells(tmp_path / "run")) == 5 * PER_TYPE // 2
    assert "tuning run" in (tmp_path / "run" / "cv.md").read_text(encoding="utf-8").lower()


def test_nothing_that_only_the_folds_need_is_left(cv, tmp_path):
    assert cv(tmp_path / "run", report=True).exit_code == 0
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "run.json", "cv.json", "cv.md", "cells.parquet", "report.html", "plots", "folds", "seconds.json", "lock",
    }  # fmt: skip
    shutil.rmtree(tmp_path / "run" / "plots")
    assert cv(tmp_path / "run", report=True).exit_code == 0
    assert (tmp_path / "run" / "plots").is_dir()
