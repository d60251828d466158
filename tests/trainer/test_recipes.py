import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from trainer.recipes import BEST, PAPER, RECIPES, Augmentation, UnknownRecipe, recipe


def test_the_papers_recipe_has_the_papers_numbers():
    # Jung et al., 2019: Adam 1e-4, batch 5, 500 epochs, 0.6 dropped after every layer but the last, and nothing else.
    assert (PAPER.learning_rate, PAPER.batch, PAPER.epochs) == (1e-4, 5, 500)
    assert (PAPER.conv_drop, PAPER.dense_drop, PAPER.whole_channels) == (0.6, 0.6, False)
    assert PAPER.augmentation is None
    assert (PAPER.warmup_epochs, PAPER.cosine, PAPER.average_epochs) == (0, False, 0)
    assert (PAPER.label_smoothing, PAPER.logit_adjustment) == (0, 0)
    assert (PAPER.inner_share, PAPER.views, PAPER.pictures_per_type) == (0, 1, None)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_found_by_its_name(name: str):
    assert recipe(name) is RECIPES[name]
    assert recipe(name).name == name


def test_a_file_says_what_differs_from_best(tmp_path: Path):
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"name": "mine", "epochs": 7, "augmentation": {"blurred_share": 0.4}}))
    expected = replace(BEST, name="mine", epochs=7, augmentation=Augmentation(blurred_share=0.4))
    assert recipe(str(file)) == expected


def test_a_file_can_leave_the_augmentation_out_altogether(tmp_path: Path):
    file = tmp_path / "plain.json"
    file.write_text('{"augmentation": null}')
    assert recipe(str(file)) == replace(BEST, name="plain", augmentation=None)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_survives_the_way_through_a_file(name: str, tmp_path: Path):
    file = tmp_path / "saved.json"
    file.write_text(json.dumps(asdict(RECIPES[name])))
    assert recipe(str(file)) == RECIPES[name]


def test_a_name_that_is_none_is_answered_with_those_there_are():
    with pytest.raises(UnknownRecipe, match=f"no recipe 'bset'; there are: {', '.join(RECIPES)}"):
        recipe("bset")


def test_a_file_that_is_not_there_is_named_with_the_reason():
    with pytest.raises(UnknownRecipe, match=r"cannot read the recipe nowhere\.json: No such file or directory"):
        recipe("nowhere.json")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"epoch": 3}', "is no recipe: epoch: "),
        ('{"augmentation": {"blur": 1}}', "is no recipe: augmentation.blur: "),
        ('{"epochs": "many"}', "is no recipe: epochs: "),
        ('{"epochs": 1.5}', "is no recipe: epochs: "),
        ("{", "is no recipe: the file: "),
        ("[1, 2]", "is no recipe: the file: "),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_line(content: str, said: str, tmp_path: Path):
    file = tmp_path / "wrong.json"
    file.write_text(content)
    with pytest.raises(UnknownRecipe) as caught:
        recipe(str(file))
    assert f"{file} {said}" in str(caught.value)
    assert "\n" not in str(caught.value)
