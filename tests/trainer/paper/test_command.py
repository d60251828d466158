"""`trainer paper` as a person gives it; the cross-validations are stood in for by finished runs."""

import json
import shutil
from dataclasses import asdict

import pytest
from typer.testing import CliRunner

from smear import bundle, shipped
from smear.cells import CELL_TYPES
from smear.labelled import data_sha256, read_folder
from trainer import cli, training_set
from trainer.cv import command as cv_command
from trainer.paper import campaign


@pytest.fixture
def fake_rows(make_run, monkeypatch, tmp_path):
    """In the place of `trainer cv`: a finished run where the row's was to be made. The rows that were asked for."""
    asked = []

    def carry_out(order, jobs, console, started):
        asked.append(order.out.name)
        made = make_run(f"made-{len(asked)}", folds=order.folds, info={
            "model": order.model.name, "recipe": order.recipe.name, "folds": order.folds, "geometry": "whole",
            "recipe_settings": asdict(order.recipe), "data": order.data.name, "share": order.share,
            "shortened": order.model.shortened(order.recipe), "data_sha256": data_sha256(read_folder(order.data)),
            "init": order.init.bundle_id if order.init else None,
        })  # fmt: skip
        order.out.parent.mkdir(exist_ok=True)
        made.rename(order.out)
        return {}

    monkeypatch.setattr(campaign.cv, "carry_out", carry_out)
    return asked


@pytest.fixture
def paper(make_data, tmp_path):
    data = make_data(name="cells")  # a finished run's pictures go to "data"

    def call(*more: object, out="out"):
        words = ["paper", "--data", data, "--geometry", "whole", "--out", tmp_path / out, *more]
        return CliRunner().invoke(cli.app, [str(word) for word in words])

    return call


def test_table_2_counts_the_cells_beside_the_papers(paper, tmp_path):
    result = paper("--table", 2, "--json")
    assert result.exit_code == 0, result.stderr
    printed = json.loads(result.stdout)
    assert printed["counts"]["basophil"] == {"count": 4, "percent": 20.0}
    assert printed["published_counts"]["lymphocyte"] == 1676
    assert json.loads((tmp_path / "out" / "table.json").read_text(encoding="utf-8")) == printed
    assert "1,676" in (tmp_path / "out" / "table.html").read_text(encoding="utf-8")
    assert printed["target_counts"] is None


def test_table_2_counts_the_small_set_too_where_it_is_given(paper, make_data):
    printed = json.loads(paper("--table", 2, "--target", make_data(per_type=3, name="small"), "--json").stdout)
    assert (printed["images"], printed["target"]) == (20, "small")
    assert printed["target_counts"]["monocyte"] == {"count": 3, "percent": 20.0}


def test_every_row_of_a_table_is_run_and_told_and_the_same_command_again_runs_none(paper, fake_rows, tmp_path):
    call = ("--table", 4, "--folds", 2, "--epochs", 5, "--json")
    result = paper(*call)
    assert result.exit_code == 0, result.stderr
    assert fake_rows == ["paper", "healthy", "group-norm"]
    printed = json.loads(result.stdout)
    assert printed["title"].endswith("(5 instead of the recipe's 50 epochs; 2 instead of 10 folds)")
    assert [row["epochs"] for row in printed["rows"]] == [5, 5, 5]
    assert json.loads(paper(*call).stdout) == printed
    assert len(fake_rows) == 3
    assert "with other bfloat16" in " ".join(paper(*call, "--bfloat16", "healthy").stderr.split())


def test_rows_can_be_asked_for_one_at_a_time(paper, fake_rows):
    first = json.loads(paper("--table", 4, "--folds", 2, "--row", "healthy", "--json").stdout)
    assert "without the rows paper, group-norm" in first["title"]
    both = json.loads(paper("--table", 4, "--folds", 2, "--row", "healthy", "--row", "paper", "--json").stdout)
    assert [row["name"] for row in both["rows"]] == ["paper", "healthy"]
    assert fake_rows == ["healthy", "paper"]


def test_a_row_run_otherwise_before_is_refused_and_not_told(paper, fake_rows):
    assert paper("--table", 3, "--folds", 2, "--epochs", 2).exit_code == 0
    result = paper("--table", 3, "--folds", 2, "--epochs", 3)
    assert result.exit_code == 2
    assert "holds a finished run with other epochs" in " ".join(result.stderr.split())


def test_a_report_is_there_after_the_first_row_already(paper, fake_rows, monkeypatch, tmp_path):
    run, calls = campaign.cv.carry_out, []

    def stop_at_the_second(order, *rest):
        calls.append(order)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return run(order, *rest)

    monkeypatch.setattr(campaign.cv, "carry_out", stop_at_the_second)
    result = paper("--table", 3, "--folds", 2)
    assert result.exit_code == 1
    assert "the same command goes on" in " ".join(result.stderr.split())
    told = json.loads((tmp_path / "out" / "table.json").read_text(encoding="utf-8"))
    assert "not yet run: best" in told["title"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--table", 7), "less than or equal to 6"),
        (("--table", 4, "--row", "vgg"), "no row 'vgg' in table 4"),
        (("--table", 3, "--bfloat16", "best"), "--bfloat16 best: only ResNet50 can be computed so"),
        (("--table", 4, "--bfloat16", "vgg"), "no row 'vgg' in table 4"),
        (("--table", 3, "--target", "small"), "table 3 uses no small set: leave --target out"),
        (("--table", 2, "--folds", 3), "table 2 trains nothing: leave --folds, --epochs and --have out"),
        (("--table", 2, "--have", "."), "table 2 trains nothing: leave --folds, --epochs and --have out"),
        (("--table", 2, "--epochs", "paper=3"), "no row 'paper' in table 2; there are: none"),
        (("--table", 3, "--epochs", "9" * 5000), "999: a number of epochs, or ROW=NUMBER"),
        (("--table", 5), "table 5 needs a small set: --target DIR"),
        (("--table", 3, "--epochs", "many"), "--epochs many: a number of epochs, or ROW=NUMBER"),
        (("--table", 3, "--have", "nowhere"), "nowhere holds no cells.parquet"),
        (("--table", 3, "--geometry", "round"), "no geometry profile 'round'"),
    ],
)
def test_a_bad_call_is_a_sentence_and_exit_2(paper, words, says):
    result = paper(*words)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.replace("│", " ").split())


def test_a_folder_of_another_table_or_of_something_else_is_refused(paper, tmp_path):
    assert paper("--table", 2).exit_code == 0
    assert "holds table 2" in " ".join(paper("--table", 3).stderr.split())
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").touch()
    assert "holds no table of the paper" in " ".join(paper("--table", 2, out="mine").stderr.split())


def test_a_row_that_was_stopped_before_its_own_report_was_written_is_gone_on_with(paper, fake_rows, tmp_path):
    call = ("--table", 3, "--folds", 2, "--row", "best")
    assert paper(*call).exit_code == 0
    (tmp_path / "out" / "best" / "work").mkdir()
    asked = []
    fake_rows.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(campaign.cv, "carry_out", lambda order, *_: asked.append(order.out.name))
        assert paper(*call).exit_code == 0
    assert asked == ["best"]


@pytest.mark.parametrize("content", ["", "[]", '{"title": "mine"}'])
def test_a_record_that_is_damaged_or_anothers_is_refused_in_a_sentence(paper, tmp_path, content):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "paper.json").write_text(content)
    result = paper("--table", 2)
    assert (result.exit_code, type(result.exception)) == (2, SystemExit)
    assert "is damaged, or is none of this command" in " ".join(result.stderr.split())


def test_nothing_is_written_into_the_small_set(paper, make_data, tmp_path):
    target = make_data(name="small")
    result = paper("--table", 5, "--target", target, out="small/mine")
    assert result.exit_code == 2
    assert "which is only read" in " ".join(result.stderr.split())
    assert not (target / "mine").exists()


@pytest.fixture
def fake_large(monkeypatch, shipped_bundle, tmp_path):
    """In the place of the training on the large set: the shipped bundle under this order's recipe. Epochs asked for."""
    trained = []

    def make(order, bars):
        trained.append(order.recipe.epochs)
        made = order.out / order.name
        shutil.copytree(shipped_bundle.folder, made)
        manifest = json.loads((made / "manifest.json").read_text(encoding="utf-8"))
        manifest["recipe"] = asdict(order.recipe) | {"seed": order.seed}
        manifest["data"]["name"], manifest["geometry"] = order.data.name, order.geometry.name
        choice = training_set.choose(order.data, order.recipe.inner_share, training_set.withheld())
        manifest["data"]["sha256"] = data_sha256(choice.train + choice.inner)
        (made / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        return bundle.load(made)

    monkeypatch.setattr(campaign, "make", make)
    return trained


@pytest.fixture
def small(tmp_path):
    """Four pictures a type that are not in `data`, and no two of one cell."""
    for cell_type in CELL_TYPES:
        (tmp_path / "small" / cell_type).mkdir(parents=True)
        for picture in sorted((shipped.folder("holdout") / cell_type).iterdir())[10:14]:
            shutil.copy(picture, tmp_path / "small" / cell_type)
    return tmp_path / "small"


def test_what_is_wrong_with_the_small_set_is_said_before_the_large_network_is_trained(
    paper, fake_large, make_data, small, tmp_path
):
    def says(target, *more):
        result = paper("--table", 6, "--row", "further", "--target", target, *more)
        assert result.exit_code == 2, result.output
        return " ".join(result.stderr.split())

    assert "no data folder at" in says(tmp_path / "nowhere")
    assert "cannot be used" in says(small, "--target-geometry", "di60")
    assert "cannot be divided into 5 folds" in says(small)
    assert "pictures of" in (said := says(make_data(name="again"), "--folds", 2))
    assert "would see cells that it is tested on" in said
    shutil.move(small, tmp_path / "other" / "cells")
    assert "both called cells" in says(tmp_path / "other" / "cells", "--folds", 2)
    assert fake_large == []


def test_the_large_network_is_trained_once_and_one_trained_otherwise_is_refused(paper, fake_large, fake_rows, small):
    call = ("--table", 6, "--row", "scratch", "--row", "further", "--target", small, "--folds", 2)
    first = paper(*call, "--epochs", "large=3", "--json")
    assert first.exit_code == 0, first.output
    assert "the network of the large set: 3 instead of the recipe's 50 epochs" in json.loads(first.stdout)["title"]
    other = paper(*call)
    assert other.exit_code == 2
    assert "wnet-large was trained with other epochs" in " ".join(other.stderr.split())
    assert fake_large == [3]


def test_a_large_network_of_other_cells_under_the_same_name_is_refused(paper, fake_large, fake_rows, make_data, small):
    call = ("--table", 6, "--row", "further", "--target", small, "--folds", 2)
    assert paper(*call).exit_code == 0
    other = make_data(per_type=3, name="elsewhere/cells")
    again = paper(*call, "--data", other)
    assert again.exit_code == 2
    assert "wnet-large was trained with other data" in " ".join(again.stderr.split())
    assert fake_large == [50]


def test_a_row_of_other_cells_under_the_same_name_is_refused(paper, fake_rows, make_data):
    call = ("--table", 3, "--folds", 2, "--row", "best")
    assert paper(*call).exit_code == 0
    again = paper(*call, "--data", make_data(per_type=3, name="elsewhere/cells"))
    assert "holds a finished run with other data" in " ".join(again.stderr.split())


def test_links_that_go_round_are_refused_in_a_sentence(paper, tmp_path):
    (tmp_path / "round").symlink_to("round")
    for result in (paper("--table", 2, out="round"), paper("--table", 3, "--data", tmp_path / "round")):
        assert (result.exit_code, type(result.exception)) == (2, SystemExit)


def test_a_data_folder_that_is_not_there_leaves_no_folder_of_a_table_behind(paper, tmp_path):
    for number in (2, 3):
        result = paper("--table", number, "--data", tmp_path / "nowhere")
        assert result.exit_code == 2
        assert "no data folder at" in " ".join(result.stderr.split())
    assert not (tmp_path / "out").exists()


def test_the_command_is_kept_with_folders_by_name_alone(paper, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["trainer", "paper", "--data", str(tmp_path / "data"), "--table", "2"])
    printed = json.loads(paper("--table", 2, "--json").stdout)
    assert printed["command"] == "trainer paper --data data --table 2"
    assert cv_command.command_given() == printed["command"]
