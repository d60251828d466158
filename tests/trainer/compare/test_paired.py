import json
from collections.abc import Callable
from pathlib import Path

import pytest

from smear.plain import PlainError
from trainer.compare.paired import compare
from trainer.compare.pairing import NothingInCommon
from trainer.run_folder import UnfinishedRun


MakeRun = Callable[..., Path]


def _errors(cell_type: str, first: int, last: int) -> dict[tuple[str, int], str]:
    return {(cell_type, i): "monocyte" for i in range(first, last)}


def test_a_run_beside_itself_does_not_differ(make_run: MakeRun):
    run = make_run(wrong=_errors("basophil", 0, 2))
    pair = compare([run, run]).pairs[0]
    assert (pair.test.p, pair.class_average.difference.value, pair.accuracy.difference.high) == (1.0, 0.0, 0.0)
    assert "no difference" in pair.verdict


def test_figures_agree_with_values_counted_by_hand(make_run: MakeRun):
    first = make_run("a", per_type=20, wrong=_errors("basophil", 0, 10))
    second = make_run("b", per_type=20, wrong=_errors("basophil", 9, 11))
    pair = compare([first, second]).pairs[0]
    basophil = next(t for t in pair.types if t.cell_type == "basophil")
    assert (basophil.recall.first, basophil.recall.second, basophil.cells) == (50.0, 90.0, 20)
    assert (basophil.test.only_first, basophil.test.only_second) == (1, 9)
    assert basophil.test.p == pytest.approx(22 / 1024)
    assert basophil.holm_p == pytest.approx(5 * 22 / 1024)
    assert pair.class_average.difference.value == pytest.approx(40 / 5)
    assert pair.accuracy.difference.value == pytest.approx(8.0)
    assert pair.test.p == pytest.approx(22 / 1024)
    assert "really better" in pair.verdict


def test_a_difference_that_chance_can_make_is_not_called_real(make_run: MakeRun):
    first = make_run("a", per_type=20, wrong=_errors("basophil", 0, 3))
    second = make_run("b", per_type=20, wrong=_errors("basophil", 2, 4))
    assert "No real difference" in compare([first, second]).pairs[0].verdict


def test_a_worse_run_is_called_worse(make_run: MakeRun):
    first, second = make_run("a", per_type=20), make_run("b", per_type=20, wrong=_errors("eosinophil", 0, 12))
    assert "really worse" in compare([first, second]).pairs[0].verdict


def test_the_same_seed_gives_the_same_comparison(make_run: MakeRun):
    runs = [make_run("a"), make_run("b", wrong=_errors("eosinophil", 0, 3))]
    assert compare(runs) == compare(runs)
    assert compare(runs).as_json() != compare(runs, seed=1).as_json()


def test_groups_widen_the_limits(make_run: MakeRun):
    wrong = _errors("eosinophil", 0, 10)
    groups = {("eosinophil", i): f"slide {i // 10}" for i in range(20)}
    first = make_run("a", per_type=20)
    alone = compare([first, make_run("b", per_type=20, wrong=wrong)]).pairs[0]
    grouped = compare([first, make_run("c", per_type=20, wrong=wrong, groups=groups)]).pairs[0]
    assert grouped.clusters == alone.clusters - 18
    assert grouped.accuracy.difference.low < alone.accuracy.difference.low


def test_each_further_run_is_set_beside_the_first_and_named_so_that_they_are_told_apart(
    make_run: MakeRun, tmp_path: Path
):
    for parent in ("x", "y"):
        (tmp_path / parent).mkdir()
    pairs = compare([make_run("x/run"), make_run("y/run"), make_run("third")]).pairs
    assert [(p.first, p.second) for p in pairs] == [("x/run", "y/run"), ("x/run", f"{tmp_path.name}/third")]


def test_what_differs_about_the_runs_is_named(make_run: MakeRun):
    settings = {"epochs": 3, "batch": 5, "augmentation": {"scale": 0.3}}
    pair = compare([make_run("a"), make_run("b", info={"seed": 1, "recipe_settings": settings})]).pairs[0]
    assert pair.differing == {"seed": (0, 1), "batch": (64, 5), "augmentation.scale": (0.15, 0.3)}


def test_cells_that_one_run_alone_has_are_left_out_and_counted(make_run: MakeRun):
    first = make_run("a", per_type=6)
    second = make_run("b", per_type=6, info={"data_sha256": "cd" * 32})
    _drop_rows(second, 4)
    pair = compare([first, second]).pairs[0]
    assert (pair.cells, pair.left_out_first, pair.left_out_second, pair.same_data) == (26, 4, 0, False)


def test_cells_under_another_type_are_left_out_and_counted(make_run: MakeRun):
    first, second = make_run("a"), make_run("b")
    _relabel_first(second, "monocyte")
    pair = compare([first, second]).pairs[0]
    assert (pair.cells, pair.relabelled) == (29, 1)


def test_a_type_that_the_shared_cells_lack_is_not_tested(make_run: MakeRun):
    first, second = make_run("a"), make_run("b")
    _drop_rows(second, 6)
    assert next(t.cell_type for t in compare([first, second]).pairs[0].types) == "eosinophil"


def test_runs_of_other_data_are_refused_in_plain_words(make_run: MakeRun):
    with pytest.raises(NothingInCommon, match="share no cells"):
        compare([make_run("a"), make_run("b", offset=100)])


def test_an_unfinished_run_is_refused_in_plain_words(make_run: MakeRun, tmp_path: Path):
    with pytest.raises(UnfinishedRun, match="no cross-validation has finished"):
        compare([make_run("a"), tmp_path / "nowhere"])


def test_one_run_alone_is_no_comparison(make_run: MakeRun):
    with pytest.raises(PlainError, match="at least two"):
        compare([make_run("a")])


def test_the_json_object_can_be_written(make_run: MakeRun):
    found = json.loads(json.dumps(compare([make_run("a"), make_run("b")], resamples=2000).as_json()))
    assert set(found) == {"resamples", "seed", "pairs"}
    assert found["pairs"][0]["types"]["basophil"]["recall"]["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}


def _drop_rows(run: Path, n: int) -> None:
    import pyarrow.parquet as pq

    pq.write_table(pq.read_table(run / "cells.parquet")[n:], run / "cells.parquet")


def _relabel_first(run: Path, cell_type: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(run / "cells.parquet")
    types = [cell_type, *table["type"].to_pylist()[1:]]
    pq.write_table(table.set_column(table.column_names.index("type"), "type", pa.array(types)), run / "cells.parquet")
