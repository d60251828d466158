from dataclasses import asdict

import pytest
from pydantic import TypeAdapter

from smear.bundle import Bundle
from smear.cells import CELL_TYPES
from trainer import produce
from trainer.card import _rare
from trainer.recipes import Recipe


def test_the_shipped_bundle_is_honest_about_where_it_comes_from(shipped_bundle: Bundle):
    manifest = shipped_bundle.manifest
    assert manifest.data.name == "pbc"
    assert manifest.command.startswith("trainer fit --data pbc --name wnet-pbc ")
    assert manifest.recipe["epochs"] > 1
    assert sum(manifest.training_mix.values()) == pytest.approx(1, abs=1e-5)
    assert set(manifest.training_mix) == set(CELL_TYPES)
    assert set(manifest.scores) >= {"inner", "holdout", "holdout_originals", "elsewhere", "outside"}
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
