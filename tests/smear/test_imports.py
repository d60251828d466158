"""`smear` is imported by every room: it must bring no room's heavy runtime along."""

import pkgutil
import subprocess
import sys
from pathlib import Path

import smear


EVERY = [
    m.name for m in pkgutil.walk_packages([str(Path(smear.__file__).parent)], "smear.") if ".migrations." not in m.name
]
HEAVY = ("celery", "kombu", "torch", "openvino", "tensorrt", "pycuda", "onnx", "onnxruntime", "watchdog", "typer")


def test_every_module_of_smear_imports_without_a_heavy_runtime():
    assert len(EVERY) >= 15
    code = f"import sys, importlib\nfor name in {EVERY}: importlib.import_module(name)\n"
    code += "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "numpy" in loaded
    assert not loaded & {*HEAVY, "worker", "trainer", "engine_build", "review"}


def test_what_runs_a_slide_needs_no_scipy():
    code = "import sys, smear.differential, smear.correction, smear.paired; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
