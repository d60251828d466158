import json
import re
import resource
import shutil
import signal
import time
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from smear.cells import CELL_TYPES
from smear.labelled import data_sha256, read_folder
from tests.trainer.cv.conftest import EPOCHS, FOLDS, PER_TYPE


def _cv(out: Path):
    return json.loads((out / "cv.json").read_text(encoding="utf-8"))


def _without_seconds(out: Path):
    found = _cv(out)
    assert found.pop("seconds") > 0
    return found


def _wait_for(path: Path, process, seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until, f"no {path}"
        time.sleep(0.02)


def _one_sentence(process) -> str:
    printed, said = process.communicate(timeout=170)
    assert printed == ""
    assert "Traceback" not in said
    last = [line for line in said.splitlines() if line.strip()][-1]
    assert last.startswith("trainer: ")
    return last


def test_the_result_has_the_documented_keys_and_every_cell_once(finished, tiny_data):
    found = _cv(finished)
    expected = {
        "model": "wnet", "recipe": "tiny", "parameters": 16_806_949, "images": 5 * PER_TYPE, "data": "tiny",
        "data_sha256": data_sha256(read_folder(tiny_data)), "seed": 0, "epochs": EPOCHS,
    }  # fmt: skip
    assert {key: found[key] for key in expected} == expected
    assert [fold["fold"] for fold in found["folds"]] == list(range(FOLDS))
    assert {t: sum(fold["n"][t] for fold in found["folds"]) for t in CELL_TYPES} == dict.fromkeys(CELL_TYPES, PER_TYPE)
    assert {"recall", "class_average", "accuracy", "accuracy_std"} <= set(found["mean"])
    assert {"recall", "class_average", "accuracy"} <= set(found["pooled"])

    cells = pq.read_table(finished / "cells.parquet").to_pylist()
    assert sorted(cell["sha256"] for cell in cells) == sorted(cell.sha256 for cell in read_folder(tiny_data))
    right = dict.fromkeys(CELL_TYPES, 0)
    for cell in cells:
        p = {t: cell[f"p_{t}"] for t in CELL_TYPES}
        assert sum(p.values()) == pytest.approx(1, abs=1e-5)
        right[cell["type"]] += max(p, key=p.__getitem__) == cell["type"]
    assert found["pooled"]["recall"] == pytest.approx({t: n / PER_TYPE for t, n in right.items()}, abs=1e-6)


def test_every_fold_leaves_its_curve_and_nothing_large(finished):
    for fold in range(FOLDS):
        folder = finished / "folds" / f"{fold:02d}"
        curve = json.loads((folder / "curve.json").read_text(encoding="utf-8"))
        assert [epoch["epoch"] for epoch in curve["epochs"]] == [*range(1, EPOCHS + 1)]
        assert curve["epochs"][-1]["loss"] < curve["epochs"][0]["loss"]
        assert curve["temperature"] > 0
    assert not (finished / "work").exists()
    assert sum(file.stat().st_size for file in finished.rglob("*") if file.is_file()) < 5e6


def test_a_run_killed_twice_ends_with_the_same_numbers(finished, start_cv, tmp_path):
    out = tmp_path / "run"
    for wanted in (out / "folds" / "00" / "checkpoint.pt", out / "folds" / "00" / "probabilities.npy"):
        process = start_cv(out, "--jobs", 1)
        _wait_for(wanted, process)
        for child in [*psutil.Process(process.pid).children(recursive=True), process]:
            child.kill()
        process.communicate()
        assert not (out / "cv.json").exists()
    process = start_cv(out)
    _, said = process.communicate(timeout=170)
    assert process.returncode == 0, said

    assert _without_seconds(out) == _without_seconds(finished)
    ours, theirs = (pq.read_table(folder / "cells.parquet").sort_by("sha256") for folder in (out, finished))
    assert ours.equals(theirs)


def test_a_fold_ends_with_its_parent(start_cv, tmp_path):
    out = tmp_path / "run"
    process = start_cv(out, "--epochs", 500, "--jobs", 1)
    _wait_for(out / "folds" / "00" / "checkpoint.pt", process)
    (fold,) = [c for c in psutil.Process(process.pid).children() if "trainer.cv.fold" in c.cmdline()]
    process.kill()
    process.communicate()
    assert psutil.wait_procs([fold], timeout=30)[1] == []


def test_ctrl_c_stops_every_fold_and_says_how_to_go_on(start_cv, tmp_path):
    out = tmp_path / "run"
    process = start_cv(out, "--epochs", 500)
    _wait_for(out / "folds" / "01" / "checkpoint.pt", process)
    children = psutil.Process(process.pid).children()
    process.send_signal(signal.SIGINT)
    assert "the same command goes on from there" in _one_sentence(process)
    assert process.returncode == 1
    assert psutil.wait_procs(children, timeout=5)[1] == []


def test_a_finished_run_is_not_trained_again(finished, start_cv, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(finished, out)
    before = (out / "folds" / "00" / "probabilities.npy").stat().st_mtime_ns
    process = start_cv(out)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert _cv(out) == _cv(finished)
    assert (out / "folds" / "00" / "probabilities.npy").stat().st_mtime_ns == before


@pytest.mark.parametrize("more", [["--seed", 1], ["--epochs", 9], ["--folds", 3]])
def test_another_run_does_not_go_into_the_same_folder(finished, start_cv, tmp_path, more):
    out = tmp_path / "run"
    shutil.copytree(finished, out)
    process = start_cv(out, *more)
    assert "choose another folder" in _one_sentence(process)
    assert process.returncode == 2
    assert _cv(out) == _cv(finished)


def test_a_shortened_recipe_says_so(start_cv, tmp_path):
    out = tmp_path / "run"
    process = start_cv(out, "--epochs", 1, "--jobs", 2, recipe="paper")
    _, said = process.communicate(timeout=170)
    assert process.returncode == 0, said
    assert _cv(out)["shortened"] == "1 of the recipe's 500 epochs"


def test_a_loss_that_is_no_number_ends_the_run_in_one_sentence(start_cv, tmp_path):
    recipe = tmp_path / "wild.json"
    recipe.write_text('{"name": "wild", "learning_rate": 1e30, "batch": 8, "warmup_epochs": 0}', encoding="utf-8")
    process = start_cv(tmp_path / "run", recipe=recipe)
    assert "the loss became nan in epoch" in _one_sentence(process)
    assert process.returncode == 1


def test_a_full_disk_ends_the_run_in_one_sentence_and_can_be_gone_on_with(finished, start_cv, tmp_path):
    out = tmp_path / "run"
    smaller_than_a_checkpoint = 2**26

    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (smaller_than_a_checkpoint, resource.RLIM_INFINITY))

    process = start_cv(out, preexec_fn=full)
    assert "checkpoint could not be written" in _one_sentence(process)
    assert process.returncode == 1
    process = start_cv(out)
    _, said = process.communicate(timeout=170)
    assert process.returncode == 0, said
    assert _without_seconds(out) == _without_seconds(finished)


def _empty_type(data: Path) -> list[object]:
    shutil.rmtree(data / "basophil")
    (data / "basophil").mkdir()
    return []


def _one_picture(data: Path) -> list[object]:
    for picture in sorted((data / "monocyte").iterdir())[1:]:
        picture.unlink()
    return []


def _unknown_type(data: Path) -> list[object]:
    (data / "blast").mkdir()
    return []


def _unreadable(data: Path) -> list[object]:
    for picture in (data / "eosinophil").iterdir():
        picture.write_bytes(b"no picture")
    return []


def _more_folds(_: Path) -> list[object]:
    return ["--folds", PER_TYPE + 1]


def _no_recipe(_: Path) -> list[object]:
    return ["--recipe", "fast"]


def _no_bundle(data: Path) -> list[object]:
    return ["--init", data]


def _other_geometry(_: Path) -> list[object]:
    return ["--init", Path(__file__).parents[3] / "models" / "wnet-pbc"]


def _no_gpu(_: Path) -> list[object]:
    return ["--device", "tpu"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_empty_type, "0 pictures of type basophil"),
        (_one_picture, "1 pictures .* of type monocyte cannot be divided into 2 folds"),
        (_unknown_type, "'blast' .* is none of"),
        (_unreadable, "0 pictures .* of type eosinophil"),
        (_more_folds, "8 pictures .* cannot be divided into 9 folds"),
        (_no_recipe, "no recipe 'fast'; there are: paper, best"),
        (_no_bundle, "manifest"),
        (_other_geometry, "was trained with geometry di60, not whole"),
        (_no_gpu, "no device 'tpu'"),
    ],
)
def test_what_cannot_be_cross_validated_is_refused_in_one_sentence(start_cv, tiny_data, tmp_path, spoil, said):
    data = tmp_path / "data"
    shutil.copytree(tiny_data, data)
    process = start_cv(tmp_path / "run", *spoil(data), data=data)
    sentence = _one_sentence(process)
    assert process.returncode == 2, sentence
    assert re.search(said, sentence), sentence
    assert not (tmp_path / "run").exists()


def test_unreadable_pictures_are_left_out_and_named(start_cv, tiny_data, tmp_path):
    data, out = tmp_path / "data", tmp_path / "run"
    shutil.copytree(tiny_data, data)
    (data / "monocyte" / "broken.jpg").write_bytes(b"no picture")
    process = start_cv(out, "--epochs", 1, data=data)
    _, said = process.communicate(timeout=170)
    assert process.returncode == 0, said
    (refused,) = json.loads((out / "run.json").read_text(encoding="utf-8"))["refused"]
    assert refused["file"] == "monocyte/broken.jpg"
    assert _cv(out)["images"] == 5 * PER_TYPE


def test_a_folder_with_other_things_in_it_is_left_alone(start_cv, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    (out / "thesis.txt").write_text("mine", encoding="utf-8")
    process = start_cv(out)
    assert "is not empty and holds no cross-validation" in _one_sentence(process)
    assert process.returncode == 2
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]
