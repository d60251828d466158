import json
import subprocess
import sys
from pathlib import Path

import bench_engines
import numpy as np
import pytest

from worker.engines.openvino import native_precision


def test_a_short_run_tells_the_processor_and_writes_every_ratio(tmp_path: Path):
    pytest.importorskip("nncf", reason="needs NNCF: pip install '.[engines]'")
    out = tmp_path / "bench-engines.json"
    short = ["--turns", "1", "--pictures", "20", "--calibration", "10", "--out", str(out)]
    done = subprocess.run([sys.executable, bench_engines.__file__, *short], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(out.read_text(encoding="utf-8"))
    assert told["machine"]["versions"].keys() == {"torch", "openvino", "nncf", "numpy"}
    assert (told["batch"], told["repetitions"]) == (64, 1)
    for base in ("torch", "torch_pool_first"):
        assert told["ratios"][base].keys() == {"fp32", "bf16", "int8"}
        assert min(told["ratios"][base].values()) > 0
    assert told["figures"]["pictures_a_second"].keys() == {"torch", "torch_pool_first", "fp32", "bf16", "int8"}
    assert told["computed_in"]["fp32"] == "fp32"
    assert told["computed_in"]["bf16"] == native_precision()
    assert told["same_type_as_torch"]["torch_pool_first"] == told["same_type_as_torch"]["fp32"] == 1
    assert told["same_type_as_torch"]["int8"] >= 0.9
    assert f"{told['machine']['processor']}: " in done.stderr


def test_engines_take_turns_and_the_first_turn_does_not_count(monkeypatch: pytest.MonkeyPatch):
    order: list[str] = []

    class FakeEngine:
        def __init__(self, name: str) -> None:
            self.name = name

        def infer(self, images):
            order.append(self.name)

    now = iter([0, 0, 0, 7, 0, 9, 0, 5, 0, 8])  # of the first turn only its beginning is asked
    monkeypatch.setattr(bench_engines.time, "perf_counter", lambda: next(now))
    best = bench_engines.alternating({n: FakeEngine(n) for n in "ab"}, np.zeros(1), 2)
    assert order == ["a", "b"] * 3
    assert best == {"a": 5, "b": 8}
