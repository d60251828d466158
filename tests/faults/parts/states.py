"""Writers, watcher, broker and workers in whatever order hypothesis thinks of: more than the tests take time for."""

import os
import subprocess
import sys
from typing import Final

from faults.ground_truth import PROJECT
from faults.part import Part
from faults.scene import Scene


def _states(scene: Scene) -> None:
    examples = scene.size("examples")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "tests/faults/test_states.py"]
    done = subprocess.run(
        [*command, "-o", "timeout=7200"],
        cwd=PROJECT, env=os.environ | {"FAULTS_EXAMPLES": str(examples)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    scene.inject("histories of two slides", examples)
    scene.outcome.slides = 2 * examples
    assert done.returncode == 0, done.stdout[-2000:]


PARTS: Final = (
    Part("states", "whatever happens, in whatever order", _states, full={"examples": 300}, short={"examples": 3}),
)
