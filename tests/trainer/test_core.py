"""What nights replay and watch: shipped cells, so many a type, small, apart from all that is judged on."""

import csv
from collections import Counter

import pytest
from PIL import Image

from smear import shipped
from smear.cells import CELL_TYPES
from trainer.training_set import withheld


def rows(name):
    with (shipped.folder(name) / "metadata.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def files(name):
    return sorted(shipped.folder(name).glob("*/*.jpg"))


def test_the_core_has_sixty_cells_a_type_and_the_handful_ten_of_each_of_six_kinds():
    assert Counter(path.parent.name for path in files("core")) == dict.fromkeys(CELL_TYPES, 60)
    kinds = Counter(path.parent.name for path in files("outside"))
    assert (len(kinds), set(kinds.values())) == (6, {10})
    assert not set(kinds) & set(CELL_TYPES)


@pytest.mark.parametrize("name", ["core", "outside"])
def test_they_are_as_the_network_sees_them_and_told_by_their_originals(name):
    assert sum(path.stat().st_size for path in files(name)) <= 3_000_000
    for path in files(name):
        with Image.open(path) as image:
            assert image.size == (128, 128)
    assert {row["file"] for row in rows(name)} == {f"{path.parent.name}/{path.name}" for path in files(name)}


def test_nothing_is_replayed_that_is_judged_on_or_shown_as_a_sample():
    apart = withheld()
    core, outside = ({row["source_sha256"] for row in rows(name)} for name in ("core", "outside"))
    assert not core & (apart.holdout | apart.samples)
    assert not outside & (core | apart.holdout | apart.samples)
    assert len(core) == 300
