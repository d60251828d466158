import json
import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper
from typer.testing import CliRunner

from engine_build import cli
from smear import bundle, shipped


@pytest.fixture(scope="session")
def shipped_folder() -> Path:
    return shipped.folder("models") / "wnet-pbc"


def engine_build(*arguments: object):
    return CliRunner().invoke(cli.app, [str(a) for a in arguments])


def test_the_serving_engine_agrees_with_the_reference_on_the_shipped_holdout(shipped_folder):
    result = engine_build("verify", shipped_folder, "--limit", 20, "--json")
    assert result.exit_code == 0, result.stderr
    (line,) = result.stdout.splitlines()
    printed = json.loads(line)
    assert printed["ok"] is True
    assert printed["images"] == 20
    assert printed["type_agreement"] == 1
    assert printed["class_average"] >= 0.9
    assert printed["largest_difference"] < (1e-3 if printed["engine"].endswith("fp32") else 0.1)
    assert printed["images_per_second"] > 10


def test_an_engine_of_another_network_does_not_agree(shipped_folder, monkeypatch, tmp_path):
    model = onnx.load(shipped_folder / "wnet.onnx")
    last = next(item for item in model.graph.initializer if item.name == "dense2.weight")
    last.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(last)[::-1].copy(), last.name))
    other = bundle.load(shipped_folder)
    (tmp_path / "wnet.onnx").write_bytes(model.SerializeToString())
    wrong = cli.open_engine(bundle.Bundle(tmp_path, other.manifest))
    monkeypatch.setattr(cli, "open_engine", lambda *_: wrong)
    result = engine_build("verify", shipped_folder, "--limit", 10)
    assert result.exit_code == 1
    assert "of the pictures the reference's type" in result.stderr


def test_inspect_says_what_a_bundle_was_trained_on_and_what_runs_it(shipped_folder):
    printed = json.loads(engine_build("inspect", shipped_folder, "--json").stdout)
    assert printed["bundle"].startswith("wnet-pbc@")
    assert printed["data"]["name"] == "pbc"
    assert printed["engines"]["openvino"].startswith("runs here as openvino-")
    assert "wnet-pbc@" in engine_build("inspect", shipped_folder).stdout


def test_a_damaged_bundle_is_refused_in_one_sentence(shipped_folder, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(shipped_folder, damaged)
    with (damaged / "wnet.onnx").open("r+b") as file:
        file.seek(1000)
        file.write(b"rust")
    result = engine_build("verify", damaged)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "is not what its manifest says" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--geometry", "round"], "no geometry profile 'round'"),
        (["--engine", "abacus"], "abacus"),
        (["--data", "nowhere"], "no data folder at nowhere"),
    ],
)
def test_a_bad_call_of_verify_is_one_sentence_and_exit_2(options, says, shipped_folder):
    result = engine_build("verify", shipped_folder, *options)
    assert result.exit_code == 2
    assert says in result.stderr


def test_it_needs_neither_torch_nor_onnxruntime_nor_the_trainer():
    code = (
        "import sys, engine_build.cli;"
        "sys.exit(' '.join({'torch', 'onnxruntime', 'trainer', 'celery'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
