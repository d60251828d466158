import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from rich.console import Console
from typer.testing import CliRunner

from engine_build import cli
from engine_build.show import facts_table
from smear import bundle, shipped
from smear.geometry import PROFILES, prepare


@pytest.fixture(scope="session")
def shipped_folder() -> Path:
    return shipped.shipped_bundle()


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
    served = bundle.load(shipped_folder), "auto", 1, tmp_path / "var" / "engines"
    assert cli.open_engine(*served, "int8").name == "openvino-int8"
    assert cli.open_engine(*served, "auto").name == "openvino-int8"
    after = cli.open_engine(*served)
    assert after.name == "openvino-fp32"
    # The same pictures give the same answer before and after the form was made, to the last bit.
    pictures = sorted((shipped.folder("samples") / "S-0001").glob("*.jpg"))
    images = np.stack([prepare(picture.read_bytes(), PROFILES["di60"]) for picture in pictures])
    before = cli.open_engine(served[0])
    assert np.array_equal(after.infer(images)[0], before.infer(images)[0])


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


def test_inspect_says_what_a_bundle_was_trained_on_and_what_runs_it(shipped_folder):
    printed = json.loads(engine_build("inspect", shipped_folder, "--json").stdout)
    found = bundle.load(shipped_folder)
    assert (printed["bundle"], printed["data"]["name"]) == (found.bundle_id, found.manifest.data.name)
    assert printed["engines"]["openvino"].startswith("runs here as openvino-")
    assert found.bundle_id in engine_build("inspect", shipped_folder).stdout


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


def test_bfloat16_is_not_made_for_a_processor_without_it(shipped_folder, few, monkeypatch):
    from engine_build import build as building

    monkeypatch.setattr(building, "native_precision", lambda: "fp32")
    result = built(shipped_folder, few, "--precision", "bf16")
    assert result.exit_code == 2
    assert "this processor does not compute in bfloat16" in result.stderr


def test_what_calibrated_a_form_is_left_out_of_its_verification(shipped_folder, few, tmp_path, samples):
    from engine_build.calibration import pictures, verification

    served = bundle.load(shipped_folder)
    both = tmp_path / "both"
    shutil.copytree(few, both)
    shutil.copyfile(min(samples.glob("*/*.jpg")), both / "neutrophil" / "a sample.jpg")
    chosen = pictures(served, few, "whole")
    assert (len(chosen.calibration), len(chosen.verification.cells)) == (10, 30)
    judged = {cell.sha256 for cell in chosen.verification.cells}
    assert {cell.sha256 for cell in verification(served, few, "whole", 0, {few.name}).cells} == judged
    assert len(verification(served, few, "whole", 0, {"another"}).cells) == 40
    assert len(verification(served, both, "whole", 0, {"samples"}).cells) == 40


def test_verdicts_are_told_even_where_they_cannot_be_kept(shipped_folder, few, monkeypatch):
    from worker.engines.forms import CannotKeep

    def full(*_):
        raise CannotKeep("the verdict cannot be kept in engines: Read-only file system")

    assert built(shipped_folder, few, "--precision", "fp32").exit_code == 0
    monkeypatch.setattr(cli, "rewrite_verification", full)
    result = engine_build("verify", shipped_folder, "--data", few, "--geometry", "whole", "--json")
    assert result.exit_code == 0
    assert [json.loads(line)["engine"] for line in result.stdout.splitlines()][1:] == ["openvino-fp32"]
    assert "Read-only file system" in result.stderr


def test_one_engine_alone_is_verified_with_the_form_that_would_serve(shipped_folder, few, tmp_path):
    assert built(shipped_folder, few, "--backend", "onnx", "--precision", "fp32").exit_code == 0
    sidecar = next((tmp_path / "var").rglob("form.json"))
    verified = json.loads(sidecar.read_text())
    verified["verification"]["times_default"] = 9.0
    sidecar.write_text(json.dumps(verified))
    options = ("--data", few, "--geometry", "whole", "--limit", 5, "--json")
    (line,) = engine_build("verify", shipped_folder, "--engine", "auto", *options).stdout.splitlines()
    assert json.loads(line)["engine"] == "onnx-fp32"


def test_a_disk_that_is_full_is_one_sentence_and_exit_2(shipped_folder, few, monkeypatch):
    import errno

    from engine_build import build as building

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(building, "_onnx", full)
    result = built(shipped_folder, few, "--backend", "onnx", "--precision", "fp32")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].endswith(": No space left on device")
    assert "Traceback" not in result.stderr


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


def test_brackets_in_a_cure_are_shown_and_not_taken_for_markup():
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(facts_table({"engines": {"onnx": "ONNX Runtime is not installed: pip install '.[onnx]'"}}))
    assert "pip install '.[onnx]'" in console.export_text()
