import json

import pytest
from typer.testing import CliRunner

from smear import bundle
from smear.cells import CELL_TYPES
from trainer import cli


def trainer(*arguments: object):
    return CliRunner().invoke(cli.app, [str(a) for a in arguments])


def test_a_bundle_is_trained_further_on_a_days_cells_beside_the_base_set(make_data, shipped_bundle, tmp_path):
    # A day without a basophil: the base set brings them.
    day = make_data(per_type=6, leave_out=("basophil", "eosinophil"), name="day")
    base = make_data(per_type=20, name="base")
    result = trainer(
        "finetune", "--init", shipped_bundle.folder, "--data", day, "--replay", base, "--name", "day-1", "--out",
        tmp_path / "models", "--geometry", "whole", "--across-geometries", "--epochs", 1, "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr

    made = bundle.load(tmp_path / "models" / "day-1")
    assert json.loads(result.stdout)["bundle"] == made.bundle_id
    assert made.manifest.parent == shipped_bundle.bundle_id
    assert made.manifest.data.name == "day and base"
    # Twice the six new cells of the commonest type, of every type, less the inner split.
    assert made.manifest.data.images == 5 * 12
    assert made.manifest.training_mix == pytest.approx(dict.fromkeys(CELL_TYPES, 0.2))
    assert made.manifest.recipe["name"] == "finetune"
    assert made.manifest.command == (
        f"trainer finetune --data day --replay base --name day-1 --geometry whole --epochs 1 --seed 0"
        f" --init {shipped_bundle.manifest.name} --across-geometries"
    )
    # One gentle epoch forgets nothing.
    assert made.manifest.scores["holdout"]["class_average"] > 0.9


def test_a_bundle_whose_cells_were_cut_in_another_way_is_not_trained_on_unasked(make_data, shipped_bundle, tmp_path):
    call = ["--init", shipped_bundle.folder, "--data", make_data(), "--name", "x", "--out", tmp_path / "models"]
    for command in ("fit", "finetune"):
        result = trainer(command, *call, "--geometry", "whole")
        assert result.exit_code == 2
        assert "was trained with geometry di60, not whole; add --across-geometries" in " ".join(result.stderr.split())
    assert not (tmp_path / "models").exists()


def test_a_day_without_any_cell_is_refused(make_data, shipped_bundle, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    result = trainer(
        "finetune", "--init", shipped_bundle.folder, "--data", empty, "--replay", make_data(), "--name", "x",
        "--out", tmp_path / "models",
    )  # fmt: skip
    assert result.exit_code == 2
    assert "holds no picture" in result.stderr
