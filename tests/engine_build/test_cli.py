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


@pytest.fixture(autouse=True)
def _state_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("WNET_VAR", str(tmp_path / "var"))


@pytest.fixture(scope="session")
def few(tmp_path_factory) -> Path:
    """A labelled folder of forty cells: eight of each type of the hold-out."""
    root = tmp_path_factory.mktemp("few")
    for folder in shipped.folder("holdout").iterdir():
        if folder.is_dir():
            (root / folder.name).mkdir()
            for picture in sorted(folder.iterdir())[:8]:
                shutil.copyfile(picture, root / folder.name / picture.name)
    return root


def built(shipped_folder, few, *options):
    return engine_build("build", shipped_folder, "--data", few, "--geometry", "whole", *options)


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


def test_what_was_built_is_verified_inspected_and_served(shipped_folder, few, tmp_path):
    result = built(shipped_folder, few, "--precision", "int8", "--json")
    assert result.exit_code == 0, result.stderr
    printed = json.loads(result.stdout)
    assert (printed["form"], printed["calibration"]) == ("openvino-int8", few.name)
    assert printed["verification"]["images"] == 30
    assert printed["kept_float"] == ["standardisation", "dense2"]
    assert 16 < printed["megabytes"] < 18

    (told,) = engine_build("inspect", shipped_folder, "--json").stdout.splitlines()
    assert [form["form"] for form in json.loads(told)["forms"]] == ["openvino-int8"]
    lines = engine_build("verify", shipped_folder, "--limit", 20, "--json").stdout.splitlines()
    assert [json.loads(line)["engine"] for line in lines][1:] == ["openvino-int8"]
    assert all(json.loads(line)["ok"] for line in lines)

    sidecar = next((tmp_path / "var").rglob("form.json"))
    verified = json.loads(sidecar.read_text())
    verified["verification"]["times_default"] = 9.0
    sidecar.write_text(json.dumps(verified))
    served = cli.open_engine(bundle.load(shipped_folder), "auto", 1, tmp_path / "var" / "engines")
    assert served.name == "openvino-int8"


def test_a_form_below_the_limits_is_exit_1_and_is_not_served(shipped_folder, few, tmp_path, monkeypatch):
    from engine_build import build as building

    real = building.judge

    def strict(*arguments):
        return real(*arguments).model_copy(update={"reasons": ("it gives other types",)})

    monkeypatch.setattr(building, "judge", strict)
    result = built(shipped_folder, few, "--backend", "onnx", "--precision", "fp32")
    assert result.exit_code == 1
    assert "it gives other types" in result.stderr
    served = cli.open_engine(bundle.load(shipped_folder), "auto", 1, tmp_path / "var" / "engines")
    assert served.name.startswith("openvino-")


def test_tensorrt_rtx_builds_plans_without_a_gpu_and_loading_them_is_one_sentence(shipped_folder, few, monkeypatch):
    pytest.importorskip("tensorrt_rtx_bindings", reason="needs TensorRT-RTX: pip install '.[rtx]'")
    from worker.engines import driver

    if driver.problem() is None:
        pytest.skip("this host has a driver")
    sizes = {}
    for precision in ("fp32", "fp16", "int8"):
        result = built(shipped_folder, few, "--backend", "tensorrt", "--precision", precision, "--json")
        assert result.exit_code == 0, result.stderr
        printed = json.loads(result.stdout)
        assert (printed["device"], printed["verification"]) == ("any", None)
        sizes[precision] = printed["megabytes"]
    assert sizes["fp32"] > 60 > sizes["fp16"] > 30 > sizes["int8"] > 15
    verified = engine_build("verify", shipped_folder, "--limit", 5)
    assert verified.exit_code == 0
    assert "tensorrt-int8 is left out: it was built and not run: there is no NVIDIA driver here" in verified.stderr
    refused = engine_build("verify", shipped_folder, "--engine", "tensorrt")
    assert refused.exit_code == 2
    assert "there is no NVIDIA driver here" in refused.stderr


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
        (["--engine", "abacus"], "there is no engine 'abacus'"),
        (["--data", "nowhere"], "no data folder at nowhere"),
    ],
)
def test_a_bad_call_of_verify_is_one_sentence_and_exit_2(options, says, shipped_folder):
    result = engine_build("verify", shipped_folder, *options)
    assert result.exit_code == 2
    assert says in result.stderr


def test_a_precision_that_a_backend_has_not_is_one_sentence_and_exit_2(shipped_folder):
    result = engine_build("build", shipped_folder, "--backend", "openvino", "--precision", "fp16")
    assert result.exit_code == 2
    assert "openvino is built in fp32, bf16, int8, not in fp16" in result.stderr


def test_it_needs_neither_torch_nor_onnxruntime_nor_the_trainer():
    code = (
        "import sys, engine_build.cli;"
        "sys.exit(' '.join({'torch', 'onnxruntime', 'nncf', 'trainer', 'celery'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
