import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from smear import bundle, shipped
from smear.cells import CELL_TYPES
from tests.trainer.cv.conftest import PER_TYPE, one_sentence, refusal
from trainer import cli
from trainer.cv import campaign
from trainer.learning import BrokeOff
from trainer.run_folder import open_run


def _cv(out):
    return json.loads((out / "cv.json").read_text(encoding="utf-8"))


def _run(out):
    return json.loads((out / "run.json").read_text(encoding="utf-8"))


def _empty_type(data):
    shutil.rmtree(data / "basophil")
    (data / "basophil").mkdir()
    return []


def _one_picture(data):
    for picture in sorted((data / "monocyte").iterdir())[1:]:
        picture.unlink()
    return []


def _unknown_type(data):
    (data / "blast").mkdir()
    return []


def _unreadable(data):
    for picture in (data / "eosinophil").iterdir():
        picture.write_bytes(b"no picture")
    return []


def _all_unreadable(data):
    for n, picture in enumerate(data.glob("*/*")):
        picture.write_bytes(b"no picture %d" % n)
    return ["--skip-unusable"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_empty_type, "0 pictures of type basophil"),
        (_one_picture, "1 pictures .* of type monocyte cannot be divided into 2 folds"),
        (_unknown_type, "'blast' .* is none of"),
        (
            _unreadable,
            "8 of the pictures .* cannot be used, first eosinophil/.*; mend or remove them, or add --skip-un",
        ),
        (_all_unreadable, "40 of the pictures .* cannot be used, first .*; mend or remove them$"),
        (lambda data: [*_unreadable(data), "--skip-unusable"], "0 pictures .* of type eosinophil cannot be divided"),
        (lambda data: shutil.rmtree(data) or [], "no data folder at"),
        (lambda _: ["--folds", PER_TYPE + 1], "8 pictures .* cannot be divided into 9 folds"),
        (lambda _: ["--recipe", "fast"], "no recipe 'fast'; there are: paper, best"),
        (lambda _: ["--recipe", "of[/x]/no[/y].json"], r"cannot read the recipe of\[/x\]/no\[/y\]\.json: No such file"),
        (lambda _: ["--geometry", "round"], "no geometry profile 'round'"),
        (lambda data: ["--init", data], "manifest"),
        (lambda _: ["--init", "nowhere[/x]"], r"no bundle at nowhere\[/x\]"),
        (lambda _: ["--device", "tpu"], "no device 'tpu'; there are: auto, cpu, cuda"),
        (lambda _: ["--elsewhere", "nowhere[/x]"], r"no data folder at nowhere\[/x\]"),
        (lambda _: ["--tune", "--folds", 3], "--tune scores one fold on another, so it needs --folds 4 at least"),
    ],
)
def test_what_cannot_be_cross_validated_is_refused_in_one_sentence(cv, own_data, fake_folds, tmp_path, spoil, said):
    sentence = refusal(cv(tmp_path / "run", *spoil(own_data), data=own_data))
    assert re.search(said, sentence), sentence
    assert fake_folds.trained == []
    # Nothing stands in the way of the same folder for the next attempt.
    assert not (tmp_path / "run" / "run.json").exists()


def test_a_recipe_file_with_a_name_like_markup_is_refused_for_its_name(cv, tmp_path):
    recipe = tmp_path / "mine[bold].json"
    recipe.write_text("{}", encoding="utf-8")
    assert f"{recipe} is no recipe: name: " in refusal(cv(tmp_path / "run", recipe=recipe))


def test_folders_with_names_like_markup_are_folders(cv, own_data, tmp_path):
    data = own_data.rename(tmp_path / "data[bold]")
    (data / "monocyte" / "broken[b].jpg").write_bytes(b"no picture")
    out = tmp_path / "run[/x]" / "[red]"
    result = cv(out, "--skip-unusable", "--elsewhere", data, data=data, report=True)
    assert result.exit_code == 0, result.stderr
    assert "first monocyte/broken[b].jpg: " in result.stderr
    assert _cv(out)["data"] == _cv(out)["elsewhere"]["data"] == "data[bold]"


def test_a_table_is_printed_where_no_json_is_asked_for(fake_folds, tiny_data, tiny_recipe, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    out = tmp_path / "[/x]"
    call = ["cv", "--data", tiny_data, "--out", out, "--recipe", tiny_recipe, "--folds", 2, "--geometry", "whole"]
    result = CliRunner().invoke(cli.app, [str(word) for word in call])
    assert result.exit_code == 0, result.stderr
    assert "2 folds, recipe tiny" in result.stdout
    assert all(name in result.stdout for name in CELL_TYPES)
    assert "".join(f"more in {out}".split()) in "".join(result.stdout.split())


def test_json_is_one_line_and_the_content_of_cv_json(cv, tmp_path):
    result = cv(tmp_path / "run")
    (line,) = result.stdout.splitlines()
    assert json.loads(line) == _cv(tmp_path / "run")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--seed", 2**32),
        ("--seed", -1),
        ("--seed", "one"),
        ("--epochs", 0),
        ("--folds", 1),
        ("--folds", 101),
        ("--folds", 2.5),
        ("--share", 0),
        ("--share", "nan"),
        ("--jobs", -1),
    ],
)
def test_a_number_that_means_nothing_is_refused_by_the_name_of_its_option(cv, fake_folds, tmp_path, option, value):
    result = cv(tmp_path / "run", option, value)
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit)
    assert f"Invalid value for '{option}': Input should be " in result.stderr
    assert result.stdout == ""
    assert fake_folds.trained == []
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("inside", ["", "run", "monocyte/run"])
def test_nothing_is_written_into_the_data_folder(cv, own_data, inside):
    before = sorted(own_data.rglob("*"))
    assert "lies in the data folder, which is only read" in refusal(cv(own_data / inside, data=own_data))
    assert sorted(own_data.rglob("*")) == before


def test_a_bundle_that_was_trained_on_a_folder_of_that_name_has_seen_its_cells(
    cv, own_data, shipped_bundle, tmp_path, monkeypatch
):
    call = ["--init", shipped_bundle.folder, "--across-geometries"]
    data = own_data.rename(tmp_path / shipped_bundle.manifest.data.name)
    sentence = refusal(cv(tmp_path / "run", *call, data=data))
    assert f"{shipped_bundle.bundle_id} was trained on {data.name}" in sentence
    assert "give the data folder another name" in sentence

    # A fine-tuned bundle knows both of its sets.
    both = shipped_bundle.manifest.data.model_copy(update={"name": "day and base"})
    made = bundle.Bundle(shipped_bundle.folder, shipped_bundle.manifest.model_copy(update={"data": both}))
    monkeypatch.setattr(bundle, "load", lambda _: made)
    for name in ("base", "day"):
        data = data.rename(tmp_path / name)
        assert f"was trained on {name}" in refusal(cv(tmp_path / "run", *call, data=data))
    assert not (tmp_path / "run").exists()


def test_a_bundle_of_another_geometry_is_no_start_unasked(cv, shipped_bundle, fake_folds, tmp_path):
    call = ["--init", shipped_bundle.folder]
    assert "was trained with geometry di60, not whole; add --across-geometries" in refusal(cv(tmp_path / "run", *call))
    result = cv(tmp_path / "run", *call, "--across-geometries")
    assert result.exit_code == 0, result.stderr
    assert _cv(tmp_path / "run")["init"] == shipped_bundle.bundle_id
    assert fake_folds.trained == [0, 1]
    assert "other init" in refusal(cv(tmp_path / "run"))


def test_a_picture_that_cannot_be_used_is_named_and_skipped_on_demand(cv, own_data, tmp_path):
    (own_data / "monocyte" / "broken.jpg").write_bytes(b"no picture")
    assert "1 of the pictures in" in refusal(cv(tmp_path / "run", data=own_data))
    result = cv(tmp_path / "run", "--skip-unusable", data=own_data)
    assert result.exit_code == 0, result.stderr
    assert "left out 1 pictures, first monocyte/broken.jpg: " in result.stderr
    assert [refused["file"] for refused in _run(tmp_path / "run")["refused"]] == ["monocyte/broken.jpg"]
    assert _cv(tmp_path / "run")["images"] == 5 * PER_TYPE


def test_a_finished_run_is_not_trained_again(cv, fake_folds, tmp_path):
    assert cv(tmp_path / "run").exit_code == 0
    before = _cv(tmp_path / "run")
    fake_folds.trained.clear()
    assert cv(tmp_path / "run").exit_code == 0
    assert fake_folds.trained == []
    assert _cv(tmp_path / "run") == before


@pytest.mark.parametrize("more", [["--seed", 1], ["--epochs", 9], ["--folds", 3]])
def test_another_run_does_not_go_into_the_same_folder(cv, tmp_path, more):
    assert cv(tmp_path / "run").exit_code == 0
    before = (tmp_path / "run" / "cv.json").read_bytes()
    assert "choose another folder" in refusal(cv(tmp_path / "run", *more))
    assert (tmp_path / "run" / "cv.json").read_bytes() == before


def test_a_shortened_recipe_says_so_everywhere(cv, tmp_path):
    assert cv(tmp_path / "run", "--epochs", 1, recipe="paper", report=True).exit_code == 0
    assert _cv(tmp_path / "run")["shortened"] == "1 instead of the recipe's 500 epochs"
    for name in ("cv.md", "report.html"):
        assert "instead of the recipe" in (tmp_path / "run" / name).read_text(encoding="utf-8")


def test_a_run_says_how_it_was_called_without_a_path_of_this_machine(cv, tmp_path, monkeypatch):
    out = tmp_path / "run"
    monkeypatch.setattr(sys, "argv", ["/usr/bin/trainer", "cv", "--data", "/a/b/pbc", f"--out={out}", "--seed", "3"])
    assert cv(out, report=True).exit_code == 0
    assert _run(out)["command"] == "trainer cv --data pbc --out=run --seed 3"
    left = [path for path in out.rglob("*") if path.suffix in {".json", ".md", ".html"}]
    assert not [path for path in left if str(tmp_path) in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("error", [OSError("no space left on device"), BrokeOff("fold 1: killed"), KeyboardInterrupt()])
def test_what_stops_the_folds_is_one_sentence_and_the_same_command_goes_on(cv, tmp_path, monkeypatch, error):
    def stop(*_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(campaign, "run_folds", stop)
        result = cv(tmp_path / "run")
    assert result.exit_code == 1
    sentence = one_sentence(result.stdout, result.stderr)
    assert f"{error or 'stopped'}; what was done is kept, the same command goes on from there" in sentence
    assert cv(tmp_path / "run").exit_code == 0


@pytest.mark.slow
def test_smoke_goes_through_all_of_it_on_the_shipped_holdout(tmp_path):
    out = tmp_path / "run"
    call = [
        sys.executable, "-c", "from trainer.cli import main; main()", "cv", "--data", shipped.folder("holdout"),
        "--geometry", "whole", "--recipe", "smoke", "--folds", 10, "--out", out, "--json",
    ]  # fmt: skip
    done = subprocess.run([*map(str, call)], capture_output=True, text=True, check=False, timeout=170)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == _cv(out)
    assert (found["recipe"], found["epochs"], found["images"]) == ("smoke", 2, 5 * 24)
    assert len(found["folds"]) == 10
    assert {t: sum(fold["n"][t] for fold in found["folds"]) for t in CELL_TYPES} == dict.fromkeys(CELL_TYPES, 24)
    for name in ("cells.parquet", "cv.md", "report.html"):
        assert (out / name).stat().st_size > 0
    assert sorted(path.name for path in (out / "folds").iterdir()) == [f"{fold:02d}" for fold in range(10)]
    assert not (out / "work").exists()


def test_links_that_go_round_and_names_that_no_disk_takes_are_refused(cv, tmp_path):
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    refusal(cv(loop))
    assert f"no data folder at {loop}" in refusal(cv(tmp_path / "run", data=loop))
    assert "File name too long" in refusal(cv(tmp_path / ("x" * 300)))


def test_pictures_of_the_other_laboratory_that_are_skipped_are_named(cv, own_data, tmp_path):
    (own_data / "monocyte" / "broken.jpg").write_bytes(b"no picture")
    result = cv(tmp_path / "run", "--skip-unusable", "--elsewhere", own_data)
    assert result.exit_code == 0, result.stderr
    assert "left out 1 pictures, first monocyte/broken.jpg: " in result.stderr


def test_a_checkpoint_that_a_kill_left_beside_the_result_is_removed(cv, tmp_path):
    assert cv(tmp_path / "run").exit_code == 0
    left = tmp_path / "run" / "folds" / "01" / "checkpoint.pt"
    left.write_bytes(b"200 MB of state")
    assert cv(tmp_path / "run").exit_code == 0
    assert not left.exists()


def test_a_run_in_a_folder_whose_name_is_no_text_comes_to_its_result(cv, tmp_path):
    out = tmp_path / os.fsdecode(b"run\xff")
    result = cv(out, report=True)
    assert result.exit_code == 0, result.stderr
    assert len(open_run(out).cells.files) == 5 * PER_TYPE
    assert (out / "report.html").is_file()
