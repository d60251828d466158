"""A worker's host has no training packages: it classifies without them, and the batch needs no queue either."""

import os
import subprocess
import sys


TRAINING = ("torch", "onnx", "onnxruntime", "sklearn")

CODE = f"""
import sys

class FakeMissing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {TRAINING!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, FakeMissing())
from worker.cli import main
try:
    main()
finally:
    print("LOADED", *sorted({{name.partition(".")[0] for name in sys.modules}}), file=sys.stderr)
"""


def run(tmp_path, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", CODE, *map(str, arguments)],
        cwd=tmp_path,
        env=os.environ | {"WNET_VAR": str(tmp_path / "var")},
        capture_output=True,
        text=True,
        check=False,
    )
    loaded = next(line.split()[1:] for line in done.stderr.splitlines() if line.startswith("LOADED"))
    return done, set(loaded)


def test_a_worker_classifies_without_any_training_package(tmp_path, drop, make_slide):
    make_slide(drop, "S-1", 3)
    done, loaded = run(tmp_path, "classify", drop, "--json")
    assert done.returncode == 0, done.stderr
    assert '"state": "classified"' in done.stdout
    assert "openvino" in loaded
    assert not loaded & {*TRAINING, "trainer", "engine_build", "review"}


def test_the_blocked_packages_are_really_blocked(tmp_path):
    code = CODE.replace("from worker.cli import main", "import torch\nmain = None")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "No module named 'torch'" in done.stderr


def test_commands_that_classify_nothing_load_no_engine(tmp_path):
    for command in (["migrate"], ["results", "--json"]):
        done, loaded = run(tmp_path, *command)
        assert done.returncode == 0, done.stderr
        assert "openvino" not in loaded


def test_help_loads_nothing_heavy(tmp_path):
    heavy = {"openvino", "celery", "kombu", "sqlalchemy", "sqlmodel", "alembic", "scipy", "uvicorn", "jinja2"}
    for command in (["--help"], ["results", "-h"], ["classify", "-h"], ["--version"]):
        done, loaded = run(tmp_path, *command)
        assert done.returncode == 0, done.stderr
        assert not loaded & heavy, command
