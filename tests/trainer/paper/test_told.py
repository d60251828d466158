import json
import re
from dataclasses import replace

import pytest

from smear.cells import CELL_TYPES
from trainer.paper import sentences
from trainer.paper.campaign import write
from trainer.paper.curve import Point, cells_needed, worth
from trainer.paper.markdown import markdown
from trainer.paper.page import page
from trainer.paper.tables import TABLES
from trainer.paper.told import Counted, Told, tell
from trainer.resample import Interval


def _wrong(cell_type: str, n: int, as_type: str = "monocyte"):
    return {(cell_type, i): as_type for i in range(n)}


@pytest.fixture
def table4(make_run) -> Told:
    """The paper's row errs, its variant less, the healthy row not at all; the group-norm row is not there yet."""
    paper = make_run("paper", per_type=20, wrong=_wrong("basophil", 16), info={"shortened": "5 instead of 50 epochs"})
    make_run("paper/statistics-recomputed", per_type=20, wrong=_wrong("basophil", 4), info={"variant": "x"})
    folders = {"paper": paper, "healthy": make_run("healthy", per_type=20)}
    return tell(TABLES[4], folders, TABLES[4].rows, data="cells<b>", folds=2, counts=[], command="trainer paper")


def test_a_variant_is_a_row_of_its_own_beside_the_row_whose_weights_it_has(table4):
    assert [row.name for row in table4.rows] == ["paper", "paper/statistics-recomputed", "healthy"]
    _, recomputed, healthy = table4.rows
    assert recomputed.beside.first == "paper"
    assert recomputed.beside.class_average.difference.value == pytest.approx(100 * 12 / 20 / 5)
    assert (healthy.beside.first, healthy.beside.second) == ("paper", "healthy")


def test_every_shortening_stands_in_the_title(table4):
    assert table4.title == (
        "Table 4, ResNet50: repeated on cells<b> (5 instead of 50 epochs (paper); 2 instead of 10 folds;"
        " not yet run: group-norm)"
    )


def test_a_shortening_of_every_row_stands_in_the_title_once_although_variants_are_rows_too(make_run):
    short = {"shortened": "5 instead of 50 epochs"}
    folders = {name: make_run(name, info=short) for name in ("paper", "healthy", "group-norm")}
    for name in ("paper", "healthy"):
        make_run(f"{name}/statistics-recomputed", info=short | {"variant": "statistics-recomputed"})
    told = tell(TABLES[4], folders, TABLES[4].rows, data="pbc", folds=10, counts=[], command="")
    assert told.title == "Table 4, ResNet50: repeated on pbc (5 instead of 50 epochs)"


def test_pictures_that_were_left_out_are_counted_in_the_report(make_run):
    refused = {"refused": [{"file": "a", "reason": "b"}] * 3}
    told = tell(
        TABLES[3], {"best": make_run("a", info=refused)}, TABLES[3].rows, data="x", folds=3, counts=[], command=""
    )
    assert "could not be used and were left out: 3." in markdown(told)
    assert "could not be used and were left out: 3." in page(told, None)


def test_a_row_names_the_report_that_is_there_and_none_for_a_variant_which_has_none(make_run):
    run = make_run("long", info={"parameters": None, "model": "lda"})
    make_run("long/statistics-recomputed", info={"variant": "statistics-recomputed", "init": "wnet-pbc@1"})
    (row, variant) = tell(
        TABLES[4], {"paper": run}, TABLES[4].rows, data="x", folds=3, counts=[], command=""
    ).rows  # fmt: skip
    assert sentences.settings(row) == "lda, recipe best, seed 0. Its own report: report.html in the folder long."
    assert "started from wnet-pbc@1" in sentences.settings(variant)
    assert "report.html" not in sentences.settings(variant)


def test_no_limits_are_explained_that_the_page_does_not_show(table4):
    for text in (markdown(table4), page(table4, None)):
        assert "binomial" not in text
        assert "Limits of a class average" in text


def test_how_real_is_meant_is_said_beside_the_differences(table4):
    for text in (markdown(table4), page(table4, None).replace("&#39;", "'").replace("&#34;", '"')):
        assert sentences.DIFFERENCES_NOTE in text
    assert "one in twenty" in sentences.DIFFERENCES_NOTE


def test_nothing_stands_in_the_title_of_what_was_not_shortened(make_run):
    folders = {"paper": make_run("a"), "best": make_run("b")}
    told = tell(TABLES[3], folders, TABLES[3].rows, data="pbc", folds=10, counts=[], command="")
    assert told.title == "Table 3, W-Net, cross-validated: repeated on pbc"
    fewer = tell(TABLES[3], folders, TABLES[3].rows[1:], data="pbc", folds=10, counts=[], command="")
    assert fewer.title.endswith("(without the rows paper)")


def test_confusions_are_named_by_their_share_of_the_true_type(table4):
    (first, *_) = table4.rows[0].confusions
    assert (first.true, first.predicted, first.count, first.percent) == ("basophil", "monocyte", 16, 80.0)
    assert table4.rows[2].confusions == ()


def test_the_paragraph_on_depth_tells_these_figures_and_no_cause(table4):
    said = sentences.depth(table4)
    assert "come to 84.0 %" in said
    assert "with recomputed statistics to 96.0 %" in said
    assert "+12.0 points by the asking alone" in said
    assert "cannot be proved" in said
    assert "shortened or coarser runs" in said


def test_the_page_needs_nothing_beside_itself_and_escapes_the_users_words(table4, tmp_path):
    write(tmp_path, table4)
    text = (tmp_path / "table.html").read_text(encoding="utf-8")
    assert "cells&lt;b&gt;" in text
    assert "<b>" not in text
    assert not re.findall(r'(?:src|href)="(?!data:)', text)
    assert "<script" not in text
    for name in CELL_TYPES:
        assert f">{name}</th>" in text
    assert "Paper: ResNet50, 50 epochs" in text
    assert ">51.0</td>" in text


def test_the_markdown_sets_the_papers_line_above_the_rows_and_shows_every_fold(table4):
    lines = markdown(table4).splitlines()
    paper = next(i for i, line in enumerate(lines) if line.startswith("| Paper: ResNet50"))
    ours = next(i for i, line in enumerate(lines) if line.startswith("| ResNet50, the paper's settings |"))
    assert paper < ours
    assert lines[paper] == "| Paper: ResNet50, 50 epochs, the same pictures | - | - | - | - | - | 51.0 | - |"
    assert lines[ours].split("|")[4].strip() == "20.0"
    assert sum(line.startswith("|  | Fold 0 | Fold 1 | Fold 2 |") for line in lines) == 3
    assert "cells\\<b\\>" in lines[0]


def test_the_json_has_rows_folds_and_differences(table4):
    found = json.loads(json.dumps(table4.as_json()))
    assert [row["name"] for row in found["rows"]] == ["paper", "paper/statistics-recomputed", "healthy"]
    assert found["published"][0] == {
        "name": "ResNet50, 50 epochs, the same pictures",
        "recall": dict.fromkeys(CELL_TYPES),
        "class_average": 51,
    }
    assert found["rows"][0]["recall"]["basophil"] == 20.0
    assert len(found["rows"][0]["folds"]) == 3
    assert "really better" in found["rows"][1]["beside"]["verdict"]


def test_the_learning_curve_has_a_point_a_share_and_a_picture(make_run, tmp_path):
    folders = {}
    for n, (name, errors) in enumerate({"scratch": 2, "further": 0, "scratch-10": 12, "further-10": 6}.items()):
        share = 0.1 if name.endswith("10") else 1.0
        folders[name] = make_run(f"r{n}", per_type=20, wrong=_wrong("eosinophil", errors), info={"share": share})
    rows = [row for row in TABLES[6].rows if row.name in folders]
    told = tell(TABLES[6], folders, rows, data="small", folds=3, counts=[], command="")
    assert [(point.share, point.cells) for point in told.curve] == [(0.1, 7), (1.0, 67)]
    first = told.curve[0]
    assert (first.scratch.value, first.further.value) == pytest.approx((88.0, 94.0))
    write(tmp_path, told)
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert "data:image/png" in page(told, (tmp_path / "curve.png").read_bytes())
    assert "| 10 %, about 7 cells |" in markdown(told)


def test_the_network_that_rows_start_from_is_named_and_its_shortening_stands_in_the_title(make_run, shipped_bundle):
    recipe = shipped_bundle.manifest.recipe | {"name": "best", "epochs": 7}
    start = replace(shipped_bundle, manifest=shipped_bundle.manifest.model_copy(update={"recipe": recipe}))
    rows = [row for row in TABLES[6].rows if row.name == "further"]
    told = tell(TABLES[6], {"further": make_run("r")}, rows, data="x", folds=5, counts=[], start=start, command="")
    assert "the network of the large set: 7 instead of the recipe's 50 epochs" in told.title
    assert f"start from {shipped_bundle.bundle_id}, trained on" in sentences.introduction(told)
    assert told.as_json()["start"] == shipped_bundle.bundle_id


def test_how_many_cells_a_figure_takes_is_read_between_the_points_of_the_curve():
    curve = [(10, 50.0), (100, 70.0), (1000, 90.0)]
    assert cells_needed(curve, 60.0) == round(10 * 10**0.5)
    assert cells_needed(curve, 70.0) == 100
    assert cells_needed(curve, 40.0) == 10
    assert cells_needed(curve, 91.0) is None


def test_what_the_large_set_is_worth_is_said_in_cells():
    def at(value: float) -> Interval:
        return Interval(value, value - 1, value + 1)

    curve = [Point(0.1, 10, at(50), at(60)), Point(1, 100, at(70), at(75)), Point(2, 200, at(80), at(79))]
    first, second, third = worth(curve)
    assert "With about 10 cells" in first
    assert "takes about 32 cells (interpolated)" in first
    assert "takes about 141 cells" in second
    assert "takes about 187 cells" in third or "no more cells are needed" in third
    assert (
        "from scratch 200, the most that were tried, reach 80.0 %"
        in worth([*curve[:2], Point(2, 200, at(80), at(85))])[-1]
    )


def test_what_was_not_tried_is_not_called_interpolated():
    known = Interval(90.0, 89, 91)
    (first, second) = worth([Point(0.1, 10, None, known), Point(1, 100, Interval(95.0, 94, 96), known)])
    assert "takes 100 cells at most: fewer were not tried" in first
    assert "no more cells are needed" in second


def test_the_curve_counts_the_cells_that_a_share_keeps_at_least(make_run):
    told = tell(
        TABLES[6], {"scratch-05": make_run("r", folds=2, info={"share": 0.05})}, TABLES[6].rows, data="x", folds=2,
        counts=[], command="",
    )  # fmt: skip
    assert [point.cells for point in told.curve] == [5]


def test_table_2_sets_the_counts_beside_the_papers():
    counts = [Counted(data, tuple((name, n, 20.0) for name in CELL_TYPES)) for data, n in (("mine", 10), ("<few>", 3))]
    told = tell(TABLES[2], {}, (), data="mine", folds=0, counts=counts, command="")
    text = markdown(told)
    assert "| neutrophil | 10 | 20.0 | 3 | 20.0 | 2,006 | 30.6 |" in text
    assert "| all | 50 | 100.0 | 15 | 100.0 | 6,562 | 100.0 |" in text
    whole = page(told, None)
    cells = re.findall(r"<td>(.*?)</td>", whole)
    assert cells[:6] == ["10", "20.0", "3", "20.0", "2,006", "30.6"]
    assert cells[-6:] == ["50", "100.0", "15", "100.0", "6,562", "100.0"]
    assert "Here (&lt;few&gt;)" in whole
