import json
import resource
import signal
import time
from pathlib import Path

import psutil
import pyarrow.parquet as pq

from tests.trainer.cv.conftest import EPOCHS, FOLDS, one_sentence


def _cv(out: Path):
    return json.loads((out / "cv.json").read_text(encoding="utf-8"))


def _without_seconds(out: Path):
    found = _cv(out)
    assert found.pop("seconds") > 0
    assert found.pop("fold_seconds") > 0
    return found


def _wait_for(path: Path, process, seconds: float = 40) -> None:
    until = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until, f"no {path}"
        time.sleep(0.02)


def _sentence(process) -> str:
    return one_sentence(*process.communicate(timeout=40))


def _finish(process) -> None:
    _, said = process.communicate(timeout=70)
    assert process.returncode == 0, said


def test_every_fold_leaves_its_curve_and_nothing_large(finished):
    for fold in range(FOLDS):
        folder = finished / "folds" / f"{fold:02d}"
        curve = json.loads((folder / "curve.json").read_text(encoding="utf-8"))
        assert [epoch["epoch"] for epoch in curve["epochs"]] == [*range(1, EPOCHS + 1)]
        assert all(0 < epoch["loss"] < 100 for epoch in curve["epochs"])
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
    _finish(start_cv(out))

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
    assert "the same command goes on from there" in _sentence(process)
    assert process.returncode == 1
    assert psutil.wait_procs(children, timeout=5)[1] == []


def test_a_loss_that_is_no_number_ends_the_run_in_one_sentence(start_cv, tmp_path):
    recipe = tmp_path / "wild.json"
    recipe.write_text('{"name": "wild", "learning_rate": 1e30, "batch": 8, "warmup_epochs": 0}', encoding="utf-8")
    process = start_cv(tmp_path / "run", recipe=recipe)
    assert "the loss became nan in epoch" in _sentence(process)
    assert process.returncode == 1


def test_a_full_disk_ends_the_run_in_one_sentence_and_can_be_gone_on_with(finished, start_cv, tmp_path):
    out = tmp_path / "run"
    smaller_than_a_checkpoint = 2**26

    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (smaller_than_a_checkpoint, resource.RLIM_INFINITY))

    process = start_cv(out, preexec_fn=full)
    assert "checkpoint could not be written" in _sentence(process)
    assert process.returncode == 1
    _finish(start_cv(out))
    assert _without_seconds(out) == _without_seconds(finished)


def test_a_damaged_checkpoint_is_not_said_to_be_gone_on_from(start_cv, tmp_path):
    out = tmp_path / "run"
    checkpoint = out / "folds" / "00" / "checkpoint.pt"
    process = start_cv(out, "--jobs", 1)
    _wait_for(checkpoint, process)
    process.send_signal(signal.SIGINT)
    process.communicate()
    checkpoint.write_bytes(b"half of one")
    process = start_cv(out)
    sentence = _sentence(process)
    assert sentence.endswith("checkpoint.pt is damaged; remove it, and its run begins again")
    assert process.returncode == 2
