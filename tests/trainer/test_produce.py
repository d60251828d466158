import json
from dataclasses import asdict
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from smear.bundle import Bundle
from smear.cells import CELL_TYPES
from smear.geometry import profile
from trainer import produce
from trainer.card import _rare
from trainer.recipes import BEST, Recipe


MEASUREMENTS = Path(__file__).parents[2] / "docs" / "measurements"


def test_the_shipped_bundle_is_honest_about_where_it_comes_from(shipped_bundle: Bundle):
    manifest = shipped_bundle.manifest
    assert manifest.data.name == "pbc"
    assert manifest.command.startswith("trainer fit --data pbc --name wnet-pbc ")
    assert manifest.recipe["epochs"] > 1
    assert sum(manifest.training_mix.values()) == pytest.approx(1, abs=1e-5)
    assert set(manifest.training_mix) == set(CELL_TYPES)
    parts = {"inner", "holdout", "holdout_originals", "elsewhere", "outside", "cross_validation"}
    assert set(manifest.scores) >= parts
    for part in ("holdout", "holdout_originals"):
        assert manifest.scores[part]["images"] == 595
        assert manifest.scores[part]["class_average"] >= 0.95


def test_the_shipped_card_carries_licence_limits_and_the_scores(shipped_bundle: Bundle):
    card = (shipped_bundle.folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    average = 100 * shipped_bundle.manifest.scores["holdout"]["class_average"]
    for part in ("research use only", "CC BY 4.0", "Acevedo", "outside", f"| {average:.1f} |", "chula"):
        assert part in card
    for kind in shipped_bundle.manifest.scores["outside"]["recall"]:
        assert kind in card


def test_the_shipped_bundle_keeps_within_its_size(shipped_bundle: Bundle):
    assert sum(p.stat().st_size for p in shipped_bundle.folder.iterdir()) <= 36_000_000


def test_the_recipe_in_the_shipped_manifest_is_one_that_this_version_can_run(shipped_bundle: Bundle):
    given = dict(shipped_bundle.manifest.recipe)
    assert given.pop("seed") >= 0
    # What a later version added has its default: the bundle need not know of it.
    recipe = TypeAdapter(Recipe).validate_python(given)
    assert given.items() <= (asdict(recipe) | {"augmentation": given["augmentation"]}).items()
    assert given["augmentation"].items() <= asdict(recipe)["augmentation"].items()


def test_a_card_tells_of_the_rarest_type_that_was_judged_where_others_were_not():
    def scores(counts: list[int]) -> dict[str, object]:
        confusion = [[n if i == j else 0 for j in range(5)] for i, n in enumerate(counts)]
        return {"confusion": confusion, "recall": dict.fromkeys(CELL_TYPES, 1.0)}

    (line,) = _rare({"holdout_originals": scores([0, 4, 2, 9, 0])})
    assert "2 of 2 basophils right" in line


@pytest.mark.parametrize("name", ["", "Upper", "../up", "a b", ".hidden", "x" * 64])
def test_a_name_that_a_bundle_cannot_have_is_refused_before_training(name, tmp_path):
    with pytest.raises(produce.BadOrder, match=r"cannot be a bundle's name"):
        produce.check_name(tmp_path, name)


def test_a_name_that_is_taken_is_refused_before_training(tmp_path):
    (tmp_path / "taken").mkdir()
    produce.check_name(tmp_path, "free")
    with pytest.raises(produce.BadOrder, match="never edited"):
        produce.check_name(tmp_path, "taken")


def test_the_shipped_bundles_cross_validation_is_the_published_one_and_better_than_the_papers(shipped_bundle: Bundle):
    published = json.loads((MEASUREMENTS / "cv-best-50.json").read_text(encoding="utf-8"))
    told = shipped_bundle.manifest.scores["cross_validation"]
    for key in ("recipe", "epochs", "seed", "data", "data_sha256", "views"):
        assert told[key] == published[key], key
    assert told["folds"] == len(published["folds"]) == 10
    assert told["pooled"]["recall"] == published["pooled"]["recall"]
    assert (told["recipe"], told["epochs"]) == (
        shipped_bundle.manifest.recipe["name"],
        shipped_bundle.manifest.recipe["epochs"],
    )
    # The paper's (Jung et al., 2019, Table 3): 0.97, basophils 0.95.
    assert told["pooled"]["class_average"] >= 0.985
    assert told["pooled"]["ci95"]["class_average"][0] >= 0.98
    assert min(told["pooled"]["recall"].values()) >= 0.97
    short = json.loads((MEASUREMENTS / "cv-best-20.json").read_text(encoding="utf-8"))
    assert short["pooled"]["class_average"] >= 0.978


def test_the_command_that_makes_a_bundle_again_names_all_that_decides(tmp_path):
    order = produce.Order(
        "fit", tmp_path, "x", tmp_path / "pbc", profile("di60"), BEST, cv=tmp_path / "run-7", skip_unusable=True
    )  # fmt: skip
    assert order.command.endswith(" --seed 0 --cv run-7 --skip-unusable")
