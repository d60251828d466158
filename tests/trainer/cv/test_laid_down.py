import fcntl
import json
import shutil

import numpy as np
import pytest

from smear.cells import CELL_TYPES
from tests.trainer.cv.conftest import refusal
from trainer.cv import laid_down
from trainer.cv.laid_down import OtherCrossValidation, held
from trainer.recipes import Augmentation, Recipe


def _edit(path, change) -> None:
    run = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(change(run)), encoding="utf-8")


def _without(run, *keys):
    return {key: value for key, value in run.items() if key not in keys}


def test_the_fold_processes_find_what_was_planned(lay, tmp_path):
    plan = lay(folds=3)
    assert json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8")) == plan.run
    work = tmp_path / "run" / "work"
    with np.load(work / "pixels.npz") as saved:
        np.testing.assert_array_equal(saved["images"], plan.pixels.images)
        np.testing.assert_array_equal(saved["labels"], plan.pixels.labels)
    for fold in range(3):
        with np.load(work / f"rows-{fold:02d}.npz") as saved:
            for name, rows in zip(("train", "inner", "test"), plan.fold_rows(fold), strict=True):
                np.testing.assert_array_equal(saved[name], rows)


def test_run_json_is_written_first_so_that_what_follows_can_be_told_whose_it_is(lay, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(laid_down, "_save", full)
        with pytest.raises(OSError, match="no space left"):
            lay()
    assert (tmp_path / "run" / "run.json").is_file()
    with pytest.raises(OtherCrossValidation, match="other seed"):
        lay(seed=1)
    lay()


def test_what_a_kill_before_run_json_left_is_gone_on_with(lay, tmp_path):
    out = tmp_path / "run"
    (out / "work").mkdir(parents=True)
    (out / "lock").touch()
    (out / "run.partial").write_text('{"format"', encoding="utf-8")
    (out / "work" / "pixels.partial").write_bytes(b"PK")
    lay()
    assert (out / "work" / "pixels.npz").is_file()


def test_the_same_order_again_changes_nothing_in_run_json(lay, tmp_path):
    lay()
    _edit(tmp_path / "run" / "run.json", lambda run: run | {"created": "yesterday", "commit": "0123", "command": "x"})
    before = (tmp_path / "run" / "run.json").read_bytes()
    lay()
    assert (tmp_path / "run" / "run.json").read_bytes() == before


def _fewer_pictures(data):
    next((data / "monocyte").iterdir()).unlink()


def _known_slides(data):
    lines = [
        f"{t}/{picture.name},{t},slide {i % 4}"
        for t in CELL_TYPES
        for i, picture in enumerate(sorted((data / t).iterdir()))
    ]
    (data / "metadata.csv").write_text("\n".join(["file,label,group", *lines]), encoding="utf-8")


@pytest.mark.parametrize(("change", "named"), [(_fewer_pictures, "other data, "), (_known_slides, "other assignment;")])
def test_other_pictures_and_other_slides_are_named(lay, own_data, change, named):
    lay(data=own_data)
    change(own_data)
    with pytest.raises(OtherCrossValidation, match=named):
        lay(data=own_data)


@pytest.mark.parametrize(
    ("order", "named"),
    [
        ({"seed": 1}, "other seed, assignment;"),
        ({"folds": 4}, "other folds, assignment;"),
        ({"folds": 4, "tune": True}, "other folds, tune, assignment;"),
        ({"recipe": Recipe(name="tiny", epochs=3)}, "other recipe settings;"),
        ({"recipe": Recipe(augmentation=Augmentation(noise=0.1))}, "other recipe settings;"),
        ({"device": "cuda"}, "other device;"),
    ],
)
def test_what_differs_from_the_run_in_the_folder_is_named(lay, order, named):
    lay()
    with pytest.raises(OtherCrossValidation, match=f"holds a cross-validation with {named} choose another folder"):
        lay(**order)


def test_other_content_of_the_other_laboratory_is_named_and_its_folders_name_is_not_asked(lay, own_data, tmp_path):
    lay(elsewhere=own_data)
    lay(elsewhere=shutil.copytree(own_data, tmp_path / "moved"))
    next((own_data / "basophil").iterdir()).unlink()
    with pytest.raises(OtherCrossValidation, match="other elsewhere;"):
        lay(elsewhere=own_data)
    with pytest.raises(OtherCrossValidation, match="other elsewhere;"):
        lay()


def test_another_version_of_torch_is_another_run(lay, tmp_path):
    lay()
    _edit(tmp_path / "run" / "run.json", lambda run: run | {"versions": run["versions"] | {"torch": "1.0"}})
    with pytest.raises(OtherCrossValidation, match="other versions;"):
        lay()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(path.read_bytes()[:200]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\xff\xfe"),
        lambda path: _edit(path, lambda run: [run]),
        lambda path: _edit(path, lambda _: None),
        lambda path: _edit(path, lambda run: _without(run, "recipe_settings")),
        lambda path: _edit(path, lambda run: _without(run, "assignment_sha256")),
        lambda path: _edit(path, lambda run: _without(run, "host")),
        lambda path: _edit(path, lambda run: run | {"host": None}),
        lambda path: _edit(path, lambda run: run | {"recipe_settings": {"of a later version": 1}}),
    ],
    ids=["truncated", "empty", "no text", "list", "null", "no recipe", "no division", "no host", "null host", "later"],
)
def test_a_damaged_run_json_is_refused_in_one_sentence(lay, tmp_path, spoil):
    lay()
    spoil(tmp_path / "run" / "run.json")
    with pytest.raises(OtherCrossValidation, match=r"run\.json is damaged, or of another version; choose another"):
        lay()


def test_a_recipe_saved_before_a_setting_existed_is_the_same_where_that_has_its_default(lay, tmp_path):
    def older(run):
        settings = _without(run["recipe_settings"], "conv_rate")
        settings["augmentation"] = _without(settings["augmentation"], "noise", "standardised_share")
        return run | {"recipe_settings": settings}

    lay()
    _edit(tmp_path / "run" / "run.json", older)
    lay()
    with pytest.raises(OtherCrossValidation, match="other recipe settings;"):
        lay(recipe=Recipe(name="tiny", epochs=2, batch=8, inner_share=0.2, conv_rate=0.5))


def test_a_file_in_the_folders_place_is_refused(cv, tmp_path):
    (tmp_path / "run").write_text("mine", encoding="utf-8")
    assert f"{tmp_path / 'run'} is no folder" in refusal(cv(tmp_path / "run"))
    assert (tmp_path / "run").read_text(encoding="utf-8") == "mine"


def test_a_folder_below_a_file_is_refused(cv, tmp_path):
    (tmp_path / "file").touch()
    refusal(cv(tmp_path / "file" / "run"))


def test_a_folder_with_other_things_in_it_is_left_alone(cv, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine", encoding="utf-8")
    assert "is not empty and holds no cross-validation; choose another folder" in refusal(cv(tmp_path / "run"))
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.txt"]


def test_a_second_trainer_cv_in_a_folder_where_one_is_at_work_is_refused(cv, tmp_path):
    out = tmp_path / "run"
    with held(out):
        assert f"another trainer cv is at work in {out}" in refusal(cv(out))
        assert [path.name for path in out.iterdir()] == ["lock"]
    assert cv(out).exit_code == 0


def test_the_folder_is_free_again_when_a_process_ends_however_it_ends(tmp_path):
    with pytest.raises(KeyboardInterrupt), held(tmp_path / "run"):
        raise KeyboardInterrupt
    with (tmp_path / "run" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
