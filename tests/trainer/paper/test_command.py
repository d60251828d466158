"""`trainer paper` as a person gives it; the cross-validations are stood in for by finished runs."""

import json

import pytest
from typer.testing import CliRunner

from trainer import cli
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
            "recipe_settings": vars(order.recipe) | {"augmentation": None}, "data": order.data.name,
            "shortened": order.model.shortened(order.recipe), "share": order.share,
            "refused": [{"file": "a", "reason": "b"}],
        })  # fmt: skip
        order.out.parent.mkdir(exist_ok=True)
        made.rename(order.out)
        return {}

    monkeypatch.setattr(campaign.cv, "carry_out", carry_out)
    return asked


@pytest.fixture
def paper(make_data, tmp_path):
    data = make_data()

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


def test_the_command_is_kept_with_folders_by_name_alone(paper, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["trainer", "paper", "--data", str(tmp_path / "data"), "--table", "2"])
    printed = json.loads(paper("--table", 2, "--json").stdout)
    assert printed["command"] == "trainer paper --data data --table 2"
    assert cv_command.command_given() == printed["command"]
