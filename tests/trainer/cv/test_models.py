"""Other models than W-Net in the same cross-validation, and runs on a share of the cells."""

import json

import numpy as np
import pytest

from smear.geometry import profile
from smear.labelled import load_pixels
from tests.trainer.cv.conftest import refusal
from trainer.compare.paired import compare
from trainer.cv import plan as planning
from trainer.cv import result
from trainer.cv.fold import run_fold
from trainer.models.catalogue import MODELS, UnknownModel, model
from trainer.models.resnet50 import ResNetModel
from trainer.older.features import FEATURES
from trainer.recipes import Recipe
from trainer.resnet_fit import RECOMPUTED, ResNetRecipe
from trainer.run_folder import RunInfo, open_run, read_curves, read_result


def test_every_model_has_its_name_and_its_parameters():
    assert list(MODELS) == [
        "wnet", "resnet50", "resnet50-gn", "svm", "knn", "lda", "naive-bayes", "tree", "random-forest", "mlp",
    ]  # fmt: skip
    for name in ("wnet", "resnet50", "resnet50-gn"):
        assert MODELS[name].parameters == sum(line.parameters for line in MODELS[name].layers())
    with pytest.raises(UnknownModel, match="no model 'vgg'; there are: wnet, resnet50"):
        model("vgg")


def test_resnet50_sees_224_pixels_of_the_window_that_w_net_sees_128_of(tiny_data):
    cells = planning.read_folder(tiny_data)[:2]
    pixels = load_pixels(cells, profile("whole"))
    seen = MODELS["resnet50"].inputs(pixels, profile("whole"))
    assert seen.shape == (2, 224, 224, 3)
    assert MODELS["wnet"].inputs(pixels, profile("whole")) is pixels.images
    # The same picture, only larger.
    assert np.abs(seen.mean(axis=(1, 2)) - pixels.images.mean(axis=(1, 2))).max() < 1


def test_resnet50_is_divided_as_w_net_is_and_leaves_its_variant_as_a_run_of_its_own(lay, monkeypatch, tmp_path):
    monkeypatch.setattr(ResNetModel, "side_px", 32)
    recipe = ResNetRecipe(name="tiny", epochs=1, batch=8, statistics_momentum=0.5)
    plan = lay(model=MODELS["resnet50"], recipe=recipe)
    other = lay(out=tmp_path / "wnet")
    np.testing.assert_array_equal(plan.assignment.fold, other.assignment.fold)
    for fold in plan.folds:
        run_fold(plan.order.out, fold)
    found = result.write(plan, seconds=1.0)
    assert (found["model"], found["parameters"]) == ("resnet50", 23_544_837)
    run, variant = open_run(plan.order.out), open_run(plan.order.out / RECOMPUTED)
    assert (run.info.variant, variant.info.variant) == (None, RECOMPUTED)
    assert run.cells.sha256 == variant.cells.sha256
    assert not np.allclose(run.cells.probabilities, variant.cells.probabilities)
    assert len(read_result(variant.folder).folds) == 2
    pair = compare([run.folder, variant.folder]).pairs[0]
    assert pair.differing == {"variant": (None, RECOMPUTED)}
    # W-Net's run beside it, cell by cell.
    for fold in other.folds:
        run_fold(other.order.out, fold)
    result.write(other, seconds=1.0)
    assert compare([other.order.out, run.folder]).pairs[0].cells == 40


def test_a_damaged_variant_is_made_again_with_its_fold(lay, monkeypatch):
    monkeypatch.setattr(ResNetModel, "side_px", 32)
    plan = lay(model=MODELS["resnet50"], recipe=ResNetRecipe(name="tiny", epochs=1, batch=8))
    for fold in plan.folds:
        run_fold(plan.order.out, fold)
    broken = plan.order.out / "folds" / "01" / f"variant-{RECOMPUTED}.npy"
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(result.BrokeOff, match=f"fold 1, {RECOMPUTED}, was damaged"):
        result.write(plan, seconds=1.0)
    run_fold(plan.order.out, 1)
    assert result.write(plan, seconds=1.0)["images"] == 40


@pytest.mark.parametrize("name", ["svm", "lda"])
def test_an_older_family_is_cross_validated_on_features(name, lay, tiny_data):
    family = MODELS[name]
    plan = lay(model=family, recipe=family.recipe(), elsewhere=tiny_data)
    with np.load(plan.order.out / "work" / "pixels.npz") as saved:
        assert saved["images"].shape == (40, FEATURES)
    for fold in plan.folds:
        run_fold(plan.order.out, fold)
    found = result.write(plan, seconds=1.0)
    assert (found["model"], found["parameters"], found["epochs"]) == (name, None, 1)
    assert 0.2 < found["pooled"]["class_average"] <= 1
    # Its own training cells, judged again through their pictures.
    assert found["elsewhere"]["class_average"] > found["pooled"]["class_average"]
    (curve, _) = read_curves(plan.order.out)
    assert [epoch.epoch for epoch in curve.epochs] == [1]


def test_a_family_interrupted_after_its_fit_is_fitted_again_and_its_curve_has_one_epoch(lay, monkeypatch):
    family = MODELS["lda"]
    plan = lay(model=family, recipe=family.recipe())

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("trainer.cv.fold.write_json", stop)
        with pytest.raises(KeyboardInterrupt):
            run_fold(plan.order.out, 0)
    run_fold(plan.order.out, 0)
    (curve,) = read_curves(plan.order.out)
    assert [epoch.epoch for epoch in curve.epochs] == [1]


def test_a_share_thins_out_the_training_part_alone_by_content_and_keeps_the_steps(make_order):
    recipe = Recipe(name="tiny", epochs=1, batch=8, inner_share=0)
    whole, half, quarter = (
        planning.make(make_order(recipe=recipe, share=share)) for share in (1.0, 0.5, 0.25)
    )  # fmt: skip
    for fold in whole.folds:
        rows = [plan.fold_rows(fold) for plan in (whole, half, quarter)]
        assert {len(train) for train, _, _ in rows} == {20}
        assert [len(set(train)) for train, _, _ in rows] == [20, 10, 5]
        assert set(rows[2][0]) < set(rows[1][0]) < set(rows[0][0])
        for train, _, test in rows:
            assert not set(train) & set(test)
            np.testing.assert_array_equal(test, rows[0][2])
            assert np.bincount(whole.pixels.labels[np.unique(train)], minlength=5).min() >= 1
    assert "share" not in whole.run
    assert RunInfo.model_validate(half.run).share == 0.5


def test_the_command_refuses_what_a_model_cannot_do(cv, tmp_path, shipped_bundle):
    assert "no model 'vgg'" in refusal(cv(tmp_path / "run", "--model", "vgg"))
    assert "has no epochs" in refusal(cv(tmp_path / "run", "--model", "svm", "--epochs", 3, recipe="usual"))
    said = refusal(cv(tmp_path / "run", "--model", "svm", "--init", shipped_bundle.folder, recipe="usual"))
    assert "svm cannot start from a bundle" in said
    assert "no recipe 'best'; there are: paper, healthy" in refusal(
        cv(tmp_path / "run", "--model", "resnet50", recipe="best")
    )


def test_another_model_or_share_in_the_same_folder_is_refused(cv, tmp_path):
    assert cv(tmp_path / "run").exit_code == 0
    said = refusal(cv(tmp_path / "run", "--model", "svm", recipe="usual"))
    assert "holds a cross-validation with other model" in said
    assert "with other share" in refusal(cv(tmp_path / "run", "--share", "0.5"))


def test_what_w_net_writes_has_nothing_of_other_models(cv, tmp_path):
    """Its checkpoints' identity and its `cv.json` are those of runs that were begun before there were others."""
    assert cv(tmp_path / "run").exit_code == 0
    run = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    assert not {"share", "variant"} & run.keys()
    assert set(run["recipe_settings"]) == {
        "name", "epochs", "batch", "learning_rate", "conv_rate", "warmup_epochs", "cosine", "conv_drop", "dense_drop",
        "whole_channels", "label_smoothing", "logit_adjustment", "average_epochs", "inner_share", "views",
        "pictures_per_type", "augmentation",
    }  # fmt: skip
