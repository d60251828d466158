"""The campaign itself: it starts alone, outside pytest, and asks for a part by its name."""

import subprocess
import sys

import pytest
from faults.all_parts import ALL
from faults.ground_truth import PROJECT


@pytest.mark.parametrize(
    ("asked", "code", "told"), [("--help", 0, ALL[-1].name), ("--part=no-such-part", 2, "invalid choice")]
)
def test_the_campaign_starts_without_pytest_and_tells_which_parts_there_are(tmp_path, asked, code, told):
    done = subprocess.run(
        [sys.executable, PROJECT / "tests/faults/campaign.py", asked],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, told in done.stdout + done.stderr) == (code, True), done.stderr
