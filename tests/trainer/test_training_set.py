import json
import shutil
from pathlib import Path

import pytest

from smear import shipped
from smear.geometry import profile
from smear.labelled import BadDataFolder
from trainer import training_set


@pytest.fixture
def with_samples(make_data, tmp_path: Path) -> Path:
    """A data folder whose pictures include every cell of the first sample slide, under other names."""
    folder = make_data(per_type=4)
    truth = json.loads((shipped.folder("samples") / "truth.json").read_text())["S-0001"]
    for name, cell_type in truth["files"].items():
        shutil.copy(shipped.folder("samples") / "S-0001" / name, folder / cell_type / f"renamed_{name}")
    return folder


def test_sample_cells_are_left_out_by_content_whatever_they_are_called(with_samples):
    choice = training_set.choose(with_samples, 0.25, training_set.withheld())
    assert choice.samples == len(list((shipped.folder("samples") / "S-0001").iterdir()))
    assert not any(cell.path.name.startswith("renamed_") for cell in choice.train + choice.inner)
    assert len(choice.train) == 15
    assert len(choice.inner) == 5


def test_originals_of_the_holdout_are_left_out(make_data):
    folder = make_data(per_type=4)
    cell = training_set.read_folder(folder)[0]
    left_out = training_set.Withheld(frozenset({cell.sha256}), frozenset())
    choice = training_set.choose(folder, 0.25, left_out)
    assert choice.holdout == [cell]
    assert cell not in choice.train + choice.inner


def test_a_type_left_with_one_picture_is_refused_in_plain_words(make_data):
    folder = make_data(per_type=1)
    with pytest.raises(BadDataFolder, match="leaves 1 pictures of type neutrophil to train on, at least 2"):
        training_set.choose(folder, 0.05, training_set.withheld())


def test_a_picture_that_cannot_be_used_is_refused_by_name_unless_such_are_to_be_skipped(make_data):
    folder = make_data(per_type=4)
    choice = training_set.choose(folder, 0.25, training_set.withheld())
    broken, kept_apart = choice.train[0].path, choice.inner[-1].path
    for picture in (broken, kept_apart):
        picture.write_bytes(picture.read_bytes()[:500])
    with pytest.raises(BadDataFolder) as caught:
        training_set.load(choice, profile("whole"))
    assert str(caught.value).startswith(f"2 of the pictures in {folder} cannot be used, first neutrophil/{broken.name}")
    assert str(caught.value).endswith("mend or remove them, or add --skip-unusable")


def test_pictures_that_are_skipped_are_left_out_and_known(make_data):
    choice = training_set.choose(make_data(per_type=4), 0.25, training_set.withheld())
    broken = [choice.train[0], choice.train[-1]]
    for cell in broken:
        cell.path.write_bytes(cell.path.read_bytes()[:500])
    loaded = training_set.load(choice, profile("whole"), skip_unusable=True)
    assert len(loaded.train.labels) == 13
    assert not {cell.path for cell in broken} & {cell.path for cell in loaded.cells}
    assert [cell for cell, _ in loaded.refused] == broken


def test_a_type_of_which_nothing_can_be_used_is_refused_also_where_such_are_skipped(make_data):
    choice = training_set.choose(make_data(per_type=4), 0.25, training_set.withheld())
    for cell in choice.train:
        if cell.cell_type == "basophil":
            cell.path.write_bytes(b"no picture")
    with pytest.raises(BadDataFolder, match="too few usable pictures of type basophil: "):
        training_set.load(choice, profile("whole"), skip_unusable=True)


def test_a_folder_of_which_nothing_can_be_used_is_refused_also_where_such_are_skipped(make_data):
    choice = training_set.choose(make_data(per_type=4), 0.25, training_set.withheld())
    with pytest.raises(BadDataFolder, match=r"20 of the pictures in .* profile di60 takes"):
        training_set.load(choice, profile("di60"), skip_unusable=True)
