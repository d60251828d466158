"""`trainer paper` with real cross-validations, killed outright in between."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from smear import shipped
from smear.cells import CELL_TYPES


@pytest.fixture
def cells(tmp_path):
    """Eight shipped pictures of each type."""
    for cell_type in CELL_TYPES:
        (tmp_path / "cells" / cell_type).mkdir(parents=True)
        for picture in sorted((shipped.folder("holdout") / cell_type).iterdir())[:8]:
            shutil.copy(picture, tmp_path / "cells" / cell_type)
    return tmp_path / "cells"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_table_killed_between_its_rows_goes_on_and_keeps_what_was_done(cells, tmp_path):
    out = tmp_path / "out"
    words = ["paper", "--table", 1, "--row", "lda", "--row", "tree", "--data", cells, "--geometry", "whole"]
    words += ["--folds", 2, "--jobs", 1, "--out", out]
    call = [sys.executable, "-c", "from trainer.cli import main; main()", *map(str, words)]
    first = subprocess.Popen(call, stderr=subprocess.DEVNULL)
    try:
        while first.poll() is None and not (out / "tree" / "run.json").is_file():
            time.sleep(0.02)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(first.pid, signal.SIGKILL)
        assert first.wait() == -signal.SIGKILL
    assert "not yet run: tree" in json.loads((out / "table.json").read_text(encoding="utf-8"))["title"]
    kept = (out / "lda" / "cells.parquet").stat().st_mtime_ns
    again = subprocess.run(call, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    found = json.loads((out / "table.json").read_text(encoding="utf-8"))
    assert [row["name"] for row in found["rows"]] == ["lda", "tree"]
    assert "not yet run" not in found["title"]
    assert [row["images"] for row in found["rows"]] == [40, 40]
    assert (out / "lda" / "cells.parquet").stat().st_mtime_ns == kept
