"""OpenVINO's own files of a bundle; NNCF without torch."""

import subprocess
import sys

import pytest

from engine_build import openvino_form
from engine_build.openvino_form import compile_form
from smear import bundle as bundles
from smear.shipped import shipped_bundle
from worker.engines.face import EngineUnavailable


def test_nncf_is_loaded_without_torch_even_where_that_is_installed():
    pytest.importorskip("nncf", reason="needs NNCF: pip install '.[engines]'")
    code = "import sys; from engine_build.openvino_form import _nncf; _nncf(); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_without_nncf_int8_is_one_sentence_and_float32_is_made(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nncf", None)
    bundle = bundles.load(shipped_bundle())
    with pytest.raises(EngineUnavailable, match=r"^int8 is made by NNCF .*pip install"):
        compile_form(bundle, "int8", tmp_path, None)
    compile_form(bundle, "fp32", tmp_path, None)
    assert {path.name for path in tmp_path.iterdir()} == {"network.xml", "network.bin"}


def test_whether_nncf_is_there_is_asked_without_loading_it(monkeypatch):
    monkeypatch.setattr(openvino_form.importlib.util, "find_spec", lambda _: None)
    assert not openvino_form.has_nncf()


def test_a_full_disk_is_one_sentence_and_leaves_no_form(tmp_path):
    code = """
import resource, sys
from pathlib import Path
from engine_build.openvino_form import compile_form
from smear import bundle
from smear.shipped import shipped_bundle
from worker.engines.forms import CannotKeep, write
engines, served = Path(sys.argv[1]), bundle.load(shipped_bundle())
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
try:
    write(engines, served, lambda folder: compile_form(served, "fp32", folder, None))
except CannotKeep as error:
    print(error, list((engines / served.bundle_id).iterdir()))
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "is the disk full? []" in done.stdout
