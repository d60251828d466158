import hashlib
import io
import json
import os
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
from onnx import TensorProto, helper
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from smear import bundle, shipped
from smear.cells import CELL_TYPES
from trainer import cli, make, terminal
from trainer.checkpoint import Checkpoint
from trainer.recipes import BEST


def trainer(*arguments: object):
    return CliRunner().invoke(cli.app, [str(a) for a in arguments])


def _one_sentence(result) -> str:
    assert result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert "Traceback" not in result.stderr
    assert lines[-1].startswith("trainer: ")
    return lines[-1]


def test_describe_prints_the_network_layer_by_layer():
    result = trainer("describe")
    assert result.exit_code == 0
    assert "16,806,949" in result.stdout
    assert "16,778,240" in result.stdout
    printed = json.loads(trainer("describe", "--json").stdout)
    assert printed["model"] == "wnet"
    assert printed["parameters"] == sum(layer["parameters"] for layer in printed["layers"]) == 16_806_949


def test_describe_counts_the_papers_resnet50_in_the_network_itself():
    printed = json.loads(trainer("describe", "--model", "resnet50", "--json").stdout)
    assert printed["model"] == "resnet50"
    assert printed["parameters"] == sum(layer["parameters"] for layer in printed["layers"]) == 23_544_837
    assert [7, 7, 2048] in [layer["shape"] for layer in printed["layers"]]
    assert "23,544,837" in trainer("describe", "--model", "resnet50-gn").stdout


def test_describe_tells_an_older_familys_features_and_no_number_of_parameters():
    printed = json.loads(trainer("describe", "--model", "svm", "--json").stdout)
    assert printed["parameters"] is None
    assert "depends on the data" in trainer("describe", "--model", "svm").stdout
    assert "no model 'vgg'" in _one_sentence(trainer("describe", "--model", "vgg"))


def test_describe_counts_a_data_folder_as_the_papers_table_2_does():
    folder = shipped.folder("holdout")
    printed = json.loads(trainer("describe", "--data", folder, "--json").stdout)
    assert printed["images"] == 595
    assert printed["types"]["basophil"] == {"count": 38, "percent": 6.39}
    assert "basophil" in trainer("describe", "--data", folder).stdout


def test_the_shipped_bundle_reaches_its_class_average_on_the_shipped_holdout(shipped_bundle):
    result = trainer(
        "evaluate", shipped_bundle.folder, "--data", shipped.folder("holdout"), "--geometry", "whole", "--json"
    )
    assert result.exit_code == 0
    (line,) = result.stdout.splitlines()
    printed = json.loads(line)
    assert set(printed) == {"images", "accuracy", "class_average", "recall", "confusion", "ece", "nll"}
    assert printed["images"] == 595
    assert printed["class_average"] >= 0.95
    assert min(printed["recall"].values()) >= 0.85
    stored = shipped_bundle.manifest.scores["holdout"]
    assert printed["class_average"] == pytest.approx(stored["class_average"], abs=0.005)


def test_another_laboratorys_colours_can_be_standardised(shipped_bundle, tmp_path):
    dim = tmp_path / "dim"
    for cell_type in CELL_TYPES:
        (dim / cell_type).mkdir(parents=True)
        for picture in sorted((shipped.folder("holdout") / cell_type).iterdir())[:20]:
            with Image.open(picture) as image:
                blue_and_dim = Image.fromarray(
                    (np.asarray(image) * np.array([0.3, 0.2, 0.9]) + np.array([60, 20, 10])).astype(np.uint8)
                )
            blue_and_dim.save(dim / cell_type / f"{picture.stem}.png")

    def class_average(*more: str) -> float:
        result = trainer("evaluate", shipped_bundle.folder, "--data", dim, "--geometry", "whole", "--json", *more)
        return json.loads(result.stdout)["class_average"]

    assert class_average("--standardise-colours") > class_average() + 0.02


def test_the_holdouts_originals_can_be_judged_in_a_folder_of_all(shipped_bundle, test_data):
    result = trainer("evaluate", shipped_bundle.folder, "--data", test_data / "pbc", "--part", "holdout", "--json")
    printed = json.loads(result.stdout)
    assert printed["images"] == 595
    assert printed["class_average"] >= 0.95


def test_fit_makes_a_bundle_and_goes_on_after_an_interruption_to_the_same_one(make_data, tmp_path, monkeypatch):
    data = make_data(per_type=4)
    call = ["fit", "--data", data, "--name", "tiny", "--geometry", "whole", "--epochs", 2, "--seed", 3, "--json"]
    undisturbed = trainer(*call, "--out", tmp_path / "one")
    assert undisturbed.exit_code == 0, undisturbed.stderr

    def stop_after_one(training, checkpoint, on_epoch, on_step):
        checkpoint.save(training.state()) if training.run_epoch(on_step) else None
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(make, "run", stop_after_one)
        interrupted = trainer(*call, "--out", tmp_path / "two")
    assert interrupted.exit_code == 1
    assert "the same command goes on" in _one_sentence(interrupted)
    resumed = trainer(*call, "--out", tmp_path / "two")
    assert json.loads(resumed.stdout)["bundle"] == json.loads(undisturbed.stdout)["bundle"]

    made = bundle.load(tmp_path / "two" / "tiny")
    assert made.network.read_bytes() == (tmp_path / "one" / "tiny" / "wnet.onnx").read_bytes()
    assert [p.name for p in (tmp_path / "two").iterdir()] == ["tiny"]
    assert made.manifest.command == "trainer fit --data data --name tiny --geometry whole --epochs 2 --seed 3"
    # Every number of the recipe, the defaults too.
    assert made.manifest.recipe == asdict(replace(BEST, epochs=2)) | {"seed": 3}
    assert (
        str(tmp_path) not in (made.folder / "manifest.json").read_text() + (made.folder / "MODEL_CARD.md").read_text()
    )


def test_training_starts_from_a_bundles_weights(make_data, tmp_path, shipped_bundle):
    result = trainer(
        "fit", "--data", make_data(per_type=4), "--name", "further", "--out", tmp_path / "models",
        "--geometry", "whole", "--across-geometries", "--epochs", 1, "--init", shipped_bundle.folder, "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    printed = json.loads(result.stdout)
    assert printed["scores"]["holdout"]["class_average"] > 0.8
    assert bundle.load(tmp_path / "models" / "further").manifest.parent == shipped_bundle.bundle_id


def test_calibrate_keeps_the_network_and_makes_a_new_bundle(make_data, tmp_path, shipped_bundle):
    whole = shipped.folder("samples")
    truth = json.loads((whole / "truth.json").read_text())
    data = tmp_path / "cells"
    for cell_type in CELL_TYPES:
        (data / cell_type).mkdir(parents=True)
    for slide, known in truth.items():
        for name, cell_type in known["files"].items():
            (data / cell_type / f"{slide}_{name}").write_bytes((whole / slide / name).read_bytes())
    call = [
        "calibrate",
        shipped_bundle.folder,
        "--data",
        data,
        "--name",
        "again",
        "--out",
        tmp_path,
        "--score",
        "energy",
    ]
    result = trainer(*call, "--json")
    assert result.exit_code == 0, result.stderr
    made = bundle.load(tmp_path / "again")
    assert made.manifest.files["wnet.onnx"] == shipped_bundle.manifest.files["wnet.onnx"]
    assert made.manifest.parent == shipped_bundle.bundle_id != made.bundle_id
    assert made.manifest.calibration.outside.score == "energy"
    assert trainer(*call).exit_code == 2


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda data: (data / "basophil" / "x.txt").touch() or [p.unlink() for p in (data / "basophil").glob("*.jpg")],
         "0 pictures of type basophil"),
        (lambda data: (data / "blast").mkdir(), "'blast'"),
        (lambda data: data.rename(data.with_name("gone")), "no data folder at"),
        (lambda data: (data / "monocyte" / "twin.jpg").write_bytes(next((data / "basophil").iterdir()).read_bytes()),
         "two labels"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["fit", "calibrate", "split", "describe"])
def test_a_bad_data_folder_is_one_sentence_and_exit_2(command, spoil, says, make_data, tmp_path, shipped_bundle):
    data = make_data()
    spoil(data)
    calls = {
        "fit": ["--name", "x", "--geometry", "whole", "--out", tmp_path / "models"],
        "calibrate": [shipped_bundle.folder, "--name", "x", "--out", tmp_path / "models"],
        "split": ["--out", tmp_path / "models"],
        "describe": [],
    }
    result = trainer(command, "--data", data, *calls[command])
    assert result.exit_code == 2
    assert says in _one_sentence(result)
    assert not list((tmp_path / "models").glob("*")) if (tmp_path / "models").exists() else True


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--name", "taken"], "is there already"),
        (["--name", "../up"], "cannot be a bundle's name"),
        (["--name", "x", "--geometry", "round"], "no geometry profile 'round'"),
        (["--name", "x", "--geometry", "di60"], "profile di60 takes"),
        (["--name", "x", "--init", "nowhere"], "no bundle at nowhere"),
        (["--name", "x", "--geometry", "whole", "--elsewhere", "nowhere"], "no data folder at nowhere"),
        (["--name", "x", "--geometry", "whole", "--outside", "nowhere"], "no folder at nowhere"),
    ],
)
def test_a_bad_call_of_fit_is_one_sentence_and_exit_2(options, says, make_data, tmp_path):
    (tmp_path / "models" / "taken").mkdir(parents=True)
    result = trainer("fit", "--data", make_data(), "--out", tmp_path / "models", *options)
    assert result.exit_code == 2
    assert says in _one_sentence(result)


def test_a_bundle_in_a_folder_named_like_markup_is_announced_on_one_line(shipped_bundle, tmp_path):
    made = replace(shipped_bundle, folder=tmp_path / "models[/x]" / "[red]")
    console = Console(file=io.StringIO(), width=60)
    terminal.say_made(made, console)
    assert console.file.getvalue() == f"{made.bundle_id} is in {made.folder}\n"


def test_what_is_neither_bundle_nor_checkpoint_cannot_be_judged(tmp_path):
    (tmp_path / "x.pt").write_bytes(b"no checkpoint")
    result = trainer("evaluate", tmp_path / "x.pt", "--data", shipped.folder("holdout"))
    assert result.exit_code == 2
    assert "neither a bundle's folder nor a checkpoint" in _one_sentence(result)
    assert trainer("evaluate", tmp_path, "--data", shipped.folder("holdout")).exit_code == 2


def test_importing_the_trainer_does_nothing():
    code = "import sys, trainer.cli; sys.exit(bool({'celery', 'openvino', 'worker'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def _other_network(shipped_bundle, folder, network: bytes):
    """A whole bundle but for its network."""
    folder.mkdir()
    (folder / "wnet.onnx").write_bytes(network)
    (folder / "MODEL_CARD.md").write_bytes((shipped_bundle.folder / "MODEL_CARD.md").read_bytes())
    manifest = json.loads((shipped_bundle.folder / "manifest.json").read_text())
    manifest["files"]["wnet.onnx"] = hashlib.sha256(network).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def _identity() -> bytes:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("a", "b")]
    graph = helper.make_graph([helper.make_node("Identity", ["a"], ["b"])], "identity", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("network", "started", "judged"),
    [
        (b"no network at all", "its network is no ONNX file", "is no network that ONNX Runtime can run"),
        (_identity(), "its network holds no conv1.weight", "is no W-Net: it takes or gives something else"),
    ],
)
def test_a_bundle_of_another_network_is_refused_wherever_it_is_given(
    network, started, judged, shipped_bundle, make_data, tmp_path
):
    other, data = _other_network(shipped_bundle, tmp_path / "other", network), make_data()
    for command in ("fit", "finetune"):
        result = trainer(command, "--init", other, "--data", data, "--name", "x", "--out", tmp_path / "models")
        assert result.exit_code == 2
        assert started in _one_sentence(result)
    result = trainer("evaluate", other, "--data", data, "--geometry", "whole")
    assert result.exit_code == 2
    assert judged in _one_sentence(result)


@pytest.mark.parametrize("place", ["file", "file/below", "loop"])
def test_a_place_where_no_bundle_can_be_written_is_refused_before_training(place, make_data, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    result = trainer("fit", "--data", make_data(), "--name", "x", "--geometry", "whole", "--out", tmp_path / place)
    assert result.exit_code == 2
    assert "is no folder" in _one_sentence(result)
    assert "reading pictures" not in result.stderr


def test_a_checkpoint_without_all_its_parts_is_damaged(make_data, tmp_path, monkeypatch):
    monkeypatch.setattr(Checkpoint, "load", lambda _: {"network": {}})
    call = ["fit", "--data", make_data(), "--name", "x", "--geometry", "whole", "--epochs", 1]
    result = trainer(*call, "--out", tmp_path / "models")
    assert result.exit_code == 2
    assert "checkpoint.pt is damaged; remove it, and its run begins again" in _one_sentence(result)


def test_a_folder_whose_name_no_terminal_can_write_is_shown_with_escapes(make_run):
    odd = make_run("odd\udcff", wrong={("basophil", 0): "monocyte"})
    code = "from trainer.cli import main; main()"
    call = [sys.executable, "-c", code, "compare", odd, make_run("other")]
    done = subprocess.run(call, capture_output=True, text=True, check=False, env=os.environ | {"LC_ALL": "C.UTF-8"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "odd\\udcff" in done.stdout
