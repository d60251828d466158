import json
import subprocess
import sys
from pathlib import Path

import bench_train
import numpy as np
import pytest
import training_step


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_short_run_writes_every_figure(tmp_path: Path):
    out = tmp_path / "bench-train.json"
    small = ["--repetitions", "1", "--steps", "2", "--pictures", "400", "--out", str(out)]
    done = subprocess.run([sys.executable, bench_train.__file__, *small], capture_output=True, text=True, check=True)
    told = json.loads(out.read_text(encoding="utf-8"))
    assert told.keys() == {"machine", "commit", "date", "repetitions", "ratios", "figures"}
    assert told["repetitions"] == 1
    assert told["ratios"].keys() == {"cpu_batch5", "cpu_batch64"}
    assert min(told["ratios"].values()) > 1
    figures = told["figures"]
    contenders = {"plain_batch5", "paper_batch5", "plain_batch64", "paper_batch64", "best_batch64"}
    assert figures["ms_a_step"].keys() == contenders
    assert min(figures["ms_a_step"].values()) > 0
    assert figures["data_path_share"].keys() == {"paper_batch5", "paper_batch64", "best_batch64"}
    assert all(0 < share < 0.5 for share in figures["data_path_share"].values())
    assert 0.3 < figures["peak_rss_gb"] < 2.5
    assert "data path" in done.stderr


def test_what_comes_before_the_warm_ups_end_does_not_count(monkeypatch: pytest.MonkeyPatch):
    now = iter([0.0, 0.1, 0.2, 0.3, 0.6, 1.0, 1.6])  # born, then the end of each step
    monkeypatch.setattr(training_step.time, "perf_counter", lambda: next(now))
    watch = training_step.Watch(steps=2)
    for _ in range(5):
        watch.step()
    with pytest.raises(training_step.Enough):
        watch.step()
    assert watch.seconds == pytest.approx(1.0)


def test_the_fold_that_is_weighed_trains_on_as_many_pictures_as_the_steps_draw_from(tmp_path: Path):
    bench_train.lay_out(tmp_path, 90)
    with np.load(tmp_path / "pictures.npz") as saved, np.load(tmp_path / "run" / "work" / "rows-00.npz") as rows:
        assert saved["images"].shape == (90, 128, 128, 3)
        assert len(rows["train"]) + len(rows["inner"]) == len(saved["labels"]) == 90
        assert len(rows["test"]) == 10
    assert 0.3 < bench_train.measured("fold", tmp_path / "run")["peak_rss_gb"] < 2.5
