import json

import pytest
from typer.testing import CliRunner

from smear import bundle
from tests.trainer.cv.conftest import one_sentence
from trainer import cli, cross_validated, make
from trainer.cross_validated import NoCrossValidation
from trainer.run_folder import UnfinishedRun


@pytest.fixture
def fit(own_data, tiny_recipe, tmp_path):
    """fit(*more): `trainer fit` of the tiny recipe, in this process."""

    def call(*more: object):
        words = ["fit", "--data", own_data, "--recipe", tiny_recipe, "--geometry", "whole", "--name", "told"]
        return CliRunner().invoke(cli.app, [str(word) for word in (*words, "--out", tmp_path / "models", *more)])

    return call


def _refusal(result) -> str:
    assert result.exit_code == 2, result.stderr
    return one_sentence(result.stdout, result.stderr)


def test_what_is_read_are_the_runs_own_figures(cv, tmp_path):
    assert cv(tmp_path / "run", "--folds", 4).exit_code == 0
    found = json.loads((tmp_path / "run" / "cv.json").read_text(encoding="utf-8"))
    told = cross_validated.read(tmp_path / "run")
    assert told["folds"] == 4
    for key in ("recipe", "epochs", "seed", "images", "data", "data_sha256", "views", "elsewhere"):
        assert told[key] == found[key]
    for key in ("recall", "class_average", "accuracy", "ci95", "single_view"):
        assert told["pooled"][key] == found["pooled"][key]
    assert json.loads(json.dumps(told)) == told


def test_a_bundle_tells_them_in_its_manifest_and_on_its_card(cv, fit, tmp_path):
    assert cv(tmp_path / "run").exit_code == 0
    result = fit("--cv", tmp_path / "run", "--json")
    assert result.exit_code == 0, result.stderr
    told = cross_validated.read(tmp_path / "run")
    made = bundle.load(tmp_path / "models" / "told")
    assert made.manifest.scores["cross_validation"] == told
    card = " ".join((made.folder / "MODEL_CARD.md").read_text(encoding="utf-8").split())
    pooled = told["pooled"]
    low, high = (f"{100 * limit:.1f}" for limit in pooled["ci95"]["class_average"])
    assert "Cross-validation of the same recipe, 2 folds of 40 pictures of `tiny`, 2 epochs each" in card
    assert f"class average {100 * pooled['class_average']:.1f} % (95 % limits {low} to {high}), mean of 8 views" in card
    for cell_type, recall in pooled["recall"].items():
        assert f"{cell_type} {100 * recall:.1f}" in card
    assert f"{100 * pooled['single_view']['class_average']:.1f} % on each picture as it is" in card


def test_figures_of_a_tuning_run_are_not_told(cv, fit, tmp_path):
    assert cv(tmp_path / "run", "--tune", "--folds", 4).exit_code == 0
    assert "holds a tuning run, whose figures are no result" in _refusal(fit("--cv", tmp_path / "run"))
    with pytest.raises(NoCrossValidation):
        cross_validated.read(tmp_path / "run")


def test_a_run_that_is_unfinished_damaged_or_none_is_refused(cv, fit, tmp_path):
    run = tmp_path / "run[/x]"
    assert f"{run} holds no cv.json: no cross-validation has finished there" in _refusal(fit("--cv", run))
    assert cv(run).exit_code == 0
    whole = (run / "cv.json").read_bytes()
    for content in (whole[:300], b"", b"[]", b"{}"):
        (run / "cv.json").write_bytes(content)
        assert "cv.json is damaged, or of another version" in _refusal(fit("--cv", run))
    (run / "cv.json").unlink()
    with pytest.raises(UnfinishedRun):
        cross_validated.read(run)
    assert not (tmp_path / "models").exists()


def test_figures_of_another_recipe_or_of_other_epochs_say_nothing_of_the_bundle(cv, fit, tmp_path):
    assert cv(tmp_path / "run").exit_code == 0
    said = "the cross-validation is of recipe tiny for 2 epochs, the bundle's is"
    assert f"{said} tiny for 3" in _refusal(fit("--cv", tmp_path / "run", "--epochs", 3))
    assert f"{said} paper for 2" in _refusal(fit("--cv", tmp_path / "run", "--recipe", "paper", "--epochs", 2))
    assert not (tmp_path / "models").exists()


def test_a_picture_that_cannot_be_used_is_refused_or_skipped_by_name(fit, own_data, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    (own_data / "monocyte" / "broken[b].jpg").write_bytes(b"no picture")
    sentence = _refusal(fit())
    assert "1 of the pictures in" in sentence
    assert "first monocyte/broken[b].jpg: " in sentence
    assert sentence.endswith("mend or remove them, or add --skip-unusable")
    # Nothing is trained here: what is left out is said before.
    monkeypatch.setattr(make, "run", stop)
    result = fit("--skip-unusable")
    assert result.exit_code == 1
    assert "left out 1 pictures, first monocyte/broken[b].jpg: " in " ".join(result.stderr.split())
