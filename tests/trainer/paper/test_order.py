import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from smear import bundle, shipped
from smear.geometry import profile
from smear.labelled import data_sha256, read_folder
from trainer.models.catalogue import MODELS
from trainer.paper.order import PaperOrder, check, differing, epochs_by_row, standing_in
from trainer.paper.tables import SHARES, TABLES
from trainer.produce import BadOrder
from trainer.run_folder import open_run


@pytest.fixture
def order(make_data, tmp_path):
    """order(table, **more): on four pictures a type, with a small set of as many."""

    def make(number: int, **more) -> PaperOrder:
        given = {"out": tmp_path / "out", "data": data, "geometry": profile("whole"), "target": target,
                 "target_geometry": profile("whole")}  # fmt: skip
        return PaperOrder(TABLES[number], **(given | more))

    data, target = make_data(name="cells"), make_data(per_type=5, name="small")
    return make


def test_the_rows_of_every_table_are_models_and_recipes_that_there_are():
    for table in TABLES.values():
        names = [row.name for row in table.rows]
        assert len(set(names)) == len(names)
        for row in table.rows:
            assert row.recipe in MODELS[row.model].known
            assert row.beside is None or names.index(row.beside) < names.index(row.name)


def test_the_papers_settings_are_in_the_tables_that_repeat_them(order):
    tables = {n: {row.name: order(n).cross_validation(row, None) for row in TABLES[n].rows} for n in (3, 4, 5)}
    wnet, resnet, small = tables[3]["paper"].recipe, tables[4]["paper"].recipe, tables[5]["paper"].recipe
    assert (wnet.epochs, wnet.batch, wnet.learning_rate, tables[3]["paper"].folds) == (500, 5, 1e-4, 10)
    assert (resnet.epochs, resnet.batch, resnet.learning_rate, resnet.momentum, resnet.weight_decay) == (
        50, 32, 1e-3, 0.9, 1e-4,
    )  # fmt: skip
    assert (small.epochs, small.batch) == (4000, 5)
    assert tables[5]["paper"].data.name == "small"
    assert tables[4]["paper"].data.name == "cells"


def test_table_6_trains_further_beside_from_scratch_at_every_share(order):
    large = bundle.load(shipped.folder("models") / "wnet-pbc")
    by_name = {row.name: row for row in TABLES[6].rows}
    for share in SHARES:
        further = by_name[f"further-{100 * share:02.0f}"]
        first, second = (order(6).cross_validation(by_name[name], large) for name in (further.beside, further.name))
        assert (first.init, second.init) == (None, large)
        assert first.share == second.share == share
        assert first.recipe == second.recipe


def test_bfloat16_is_a_rows_own_and_is_called_a_shortening(order):
    rows = {row.name: order(4, bfloat16=("healthy",)).cross_validation(row, None) for row in TABLES[4].rows}
    assert [name for name, row in rows.items() if row.recipe.bfloat16] == ["healthy"]
    model, recipe = rows["healthy"].model, rows["healthy"].recipe
    assert replace(recipe, bfloat16=False) == model.known["healthy"]
    assert model.shortened(recipe) == "in bfloat16"
    assert model.shortened(replace(recipe, epochs=5)) == "5 instead of the recipe's 50 epochs, in bfloat16"


def test_epochs_are_given_for_all_rows_or_by_row(order):
    assert epochs_by_row(["5", "paper=400"], TABLES[5]) == {"": 5, "paper": 400}
    five = order(1, epochs=epochs_by_row(["5"], TABLES[1]))
    orders = {row.name: five.cross_validation(row, None) for row in TABLES[1].rows}
    assert (orders["wnet"].recipe.epochs, orders["svm"].recipe.epochs) == (5, 1)
    six = order(6, epochs=epochs_by_row(["7", "large=3", "scratch=2"], TABLES[6]))
    assert six.large_recipe().epochs == 3
    assert six.cross_validation(TABLES[6].rows[2], None).recipe.epochs == 2


@pytest.mark.parametrize("word", ["five", "paper=", "\u00b2", "0", "other=3", "large=3"])
def test_epochs_that_cannot_be_understood_are_refused(word):
    with pytest.raises(BadOrder):
        epochs_by_row([word], TABLES[5])


def test_rows_that_there_are_not_and_a_small_set_that_is_missing_are_refused(order):
    with pytest.raises(BadOrder, match="no row 'vgg' in table 4; there are: paper, healthy, group-norm"):
        check(order(4, chosen=("vgg",)))
    with pytest.raises(BadOrder, match="table 6 needs a small set"):
        check(order(6, target=None))


def test_a_finished_run_stands_for_the_row_of_its_settings_alone(order, make_run):
    asked = order(3)
    orders = {row.name: asked.cross_validation(row, None) for row in asked.rows}
    info = {"recipe": "best", "recipe_settings": asdict(MODELS["wnet"].recipe("best")), "geometry": "whole",
            "data_sha256": data_sha256(read_folder(asked.data)), "folds": 10}  # fmt: skip
    fits = make_run("fits", folds=3, info=info)
    assert standing_in(order(3, have=(fits,)), orders) == {"best": fits}
    short = make_run("short", info=info | {"recipe_settings": info["recipe_settings"] | {"epochs": 20}})
    with pytest.raises(BadOrder, match="stands for no row of this table: it differs in epochs"):
        standing_in(order(3, have=(short,)), orders)
    other = make_run("other", info=info | {"data_sha256": "cd" * 32, "seed": 4})
    with pytest.raises(BadOrder, match="seed, data"):
        standing_in(order(3, have=(other,)), orders)


def test_a_finished_run_of_a_row_that_is_not_chosen_is_named_as_such(order, make_run):
    asked = order(3, chosen=("paper",))
    orders = {row.name: asked.cross_validation(row, None) for row in asked.rows}
    best = make_run("run", folds=3, info={
        "recipe": "best", "recipe_settings": asdict(MODELS["wnet"].recipe("best")), "geometry": "whole",
        "data_sha256": data_sha256(read_folder(asked.data)), "folds": 10,
    })  # fmt: skip
    with pytest.raises(BadOrder, match="is the row best, which --row leaves out: add --row best"):
        standing_in(order(3, chosen=("paper",), have=(best,)), orders)


def test_a_row_trained_further_that_is_not_chosen_is_named_where_its_start_is_not_at_hand(order, make_run):
    asked = order(6, chosen=("scratch",), init=None)
    orders = {row.name: asked.cross_validation(row, None) for row in asked.rows}
    folds = asked.cross_validation(asked.rows[0], None).folds
    further = make_run("run", folds=3, info={
        "recipe": "small", "recipe_settings": asdict(MODELS["wnet"].recipe("small")), "geometry": "whole",
        "data_sha256": data_sha256(read_folder(asked.target)), "folds": folds,
        "init": "of-the-large-set@0123456789ab",
    })  # fmt: skip
    with pytest.raises(BadOrder, match="is the row further, which --row leaves out"):
        standing_in(order(6, chosen=("scratch",), init=None, have=(further,)), orders)


def test_two_finished_runs_of_one_row_are_refused(order, make_run):
    asked = order(3)
    orders = {row.name: asked.cross_validation(row, None) for row in asked.rows}
    info = {"recipe": "best", "recipe_settings": asdict(MODELS["wnet"].recipe("best")), "geometry": "whole",
            "data_sha256": data_sha256(read_folder(asked.data)), "folds": 10}  # fmt: skip
    both = (make_run("one", folds=3, info=info), make_run("two", folds=3, info=info))
    with pytest.raises(BadOrder, match="are runs of one row, best: name one of them"):
        standing_in(order(3, have=both), orders)


def test_a_setting_that_a_run_knew_nothing_of_had_its_default(order, make_run):
    asked = order(4, bfloat16=("healthy",))
    exact, coarse = (one.cross_validation(TABLES[4].rows[1], None) for one in (order(4), asked))
    settings = asdict(exact.recipe)
    del settings["bfloat16"]
    made = make_run("before", info={
        "model": "resnet50", "recipe": "healthy", "recipe_settings": settings, "folds": 10, "geometry": "whole",
        "data_sha256": data_sha256(read_folder(asked.data)),
    })  # fmt: skip
    info = open_run(made).info
    assert differing(info, exact, {}) == []
    assert differing(info, coarse, {}) == ["bfloat16"]


def test_pictures_left_out_of_a_run_are_left_out_of_the_comparison_while_they_cannot_be_used(order, make_run):
    asked = order(3, skip_unusable=True)
    picture = asked.data / "monocyte" / "broken.png"
    good = data_sha256(read_folder(asked.data))
    picture.write_bytes(b"no picture")
    info = {"recipe": "best", "recipe_settings": asdict(MODELS["wnet"].recipe("best")), "geometry": "whole",
            "data_sha256": good, "folds": 10, "refused": [{"file": "monocyte/broken.png", "reason": "x"}]}  # fmt: skip
    run = open_run(make_run("run", info=info)).info
    row = TABLES[3].rows[1]
    assert differing(run, asked.cross_validation(row, None), {}) == []
    assert differing(run, order(3).cross_validation(row, None), {}) == ["data"]
    shutil.copy(next((asked.target / "monocyte").iterdir()), picture)
    assert differing(run, asked.cross_validation(row, None), {}) == ["data"]


def test_what_would_do_nothing_is_refused(order, shipped_bundle):
    with pytest.raises(BadOrder, match="table 4 trains nothing further: leave --init out"):
        check(order(4, target=None, init=shipped_bundle))
    with pytest.raises(BadOrder, match="leave one of them out"):
        check(order(6, init=shipped_bundle, epochs={"large": 3}))


def test_rows_are_told_apart_by_their_folders(order, tmp_path):
    orders = [order(6).cross_validation(row, None) for row in TABLES[6].rows]
    assert {Path(one.out).parent for one in orders} == {tmp_path / "out"}
    assert len({one.out for one in orders}) == 12
