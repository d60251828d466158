import base64
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from smear.geometry import profile
from trainer.report.write import write
from trainer.run_folder import UnfinishedRun


MakeRun = Callable[..., Path]
ODD = """basophil/<img src=x onerror=alert(1)>&"'$x^2$`|\u202egpj.png"""
VOID = {"meta", "img", "br", "link", "input", "hr"}


def test_everything_is_written_and_nothing_left_behind(make_run: MakeRun, tmp_path: Path):
    run = make_run(wrong={("basophil", 1): "monocyte"})
    write(run, tmp_path / "data", profile("whole"))
    plots = {"confusion.png", "progress.png", "types.png", "reliability.png", "wrong.png"}
    assert {file.name for file in (run / "plots").iterdir()} == plots
    assert {file.name for file in run.iterdir() if file.is_file()} == {
        "run.json", "cells.parquet", "cv.json", "cv.md", "report.html",
    }  # fmt: skip


def test_the_same_run_gives_the_same_report(make_run: MakeRun, tmp_path: Path):
    run = make_run(wrong={("basophil", 1): "monocyte"})
    write(run, tmp_path / "data", profile("whole"))
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    write(run, tmp_path / "data", profile("whole"))
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == before


def test_the_page_needs_nothing_beside_itself_and_is_well_formed(make_run: MakeRun, tmp_path: Path):
    seen = _page(make_run(wrong={("basophil", 1): "monocyte"}), tmp_path / "data")
    assert seen.open == []
    assert seen.scripts == 0
    for source in seen.sources:
        kind, _, data = source.partition(";base64,")
        assert kind in {"data:image/png", "data:image/jpeg"}
        assert base64.b64decode(data, validate=True)
    assert not re.search(r"url\(|@import|https?://", seen.source)
    assert all(seen.alts)
    assert len(seen.sources) == 4 + 1


def test_odd_file_names_are_shown_and_do_nothing(make_run: MakeRun, tmp_path: Path):
    info = {
        "data": "<b>&\"'",
        "command": "<script>alert(1)</script>",
        "refused": [{"file": ODD + "\n\udcff", "reason": "</td><script>"}],
    }
    run = make_run(wrong={("basophil", 0): "monocyte"}, rename={("basophil", 0): ODD}, info=info)
    seen = _page(run, tmp_path / "data")
    assert (seen.open, seen.scripts) == ([], 0)
    assert len(seen.sources) == 4 + 1
    assert ODD.replace("\u202e", "\ufffd") in seen.text
    assert "\u202e" not in seen.source
    assert "<b>&\"' (" in seen.text
    assert r"\<b\>" in (run / "cv.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("where", ["gone", "data"])
def test_a_picture_that_is_gone_or_changed_is_left_out_and_the_page_says_so(
    make_run: MakeRun, tmp_path: Path, where: str
):
    run = make_run(wrong={("basophil", 0): "monocyte", ("basophil", 1): "monocyte"})
    (tmp_path / "data/basophil/basophil_00.png").write_bytes(b"something else")
    (tmp_path / "data/basophil/basophil_01.png").unlink()
    seen = _page(run, tmp_path / where)
    assert len(seen.sources) == 4
    assert "no longer in the data folder" in seen.text
    assert ("has other content by now" in seen.text) == (where == "data")


def test_no_picture_outside_the_data_folder_is_shown(make_run: MakeRun, tmp_path: Path):
    run = make_run(wrong={("basophil", 0): "monocyte"}, rename={("basophil", 0): "../elsewhere.png"})
    assert (tmp_path / "elsewhere.png").is_file()
    assert "lies outside the data folder" in _page(run, tmp_path / "data").text


def test_a_run_without_errors_says_so(make_run: MakeRun, tmp_path: Path):
    seen = _page(make_run(), tmp_path / "data")
    assert "Every cell was given its type." in seen.text
    assert "None: every picture could be used." in seen.text


@pytest.mark.parametrize("folds", [1, 2])
def test_few_folds_are_enough(make_run: MakeRun, tmp_path: Path, folds: int):
    run = make_run(folds=folds, wrong={("basophil", 1): "monocyte"})
    write(run, tmp_path / "data", profile("whole"))
    lines = (run / "cv.md").read_text(encoding="utf-8").splitlines()
    basophil = next(line for line in lines if line.startswith("| basophil"))
    assert basophil == ("| basophil | 83.3 | 83.3 | - |" if folds == 1 else "| basophil | 100.0 | 66.7 | 83.3 | 16.7 |")


def test_curves_that_were_not_recorded_leave_the_rest_as_it_is(make_run: MakeRun, tmp_path: Path):
    seen = _page(make_run(curves=False), tmp_path / "data")
    assert "3 folds recorded no curve" in seen.text


def test_curves_of_one_epoch_and_without_test_scores_are_drawn(make_run: MakeRun, tmp_path: Path):
    run = make_run()
    for file in run.glob("folds/*/curve.json"):
        curve = json.loads(file.read_text())
        file.write_text(json.dumps(curve | {"temperature": None, "epochs": [{"epoch": 1, "loss": 1.0, "test": None}]}))
    seen = _page(run, tmp_path / "data")
    assert "Mean class average on unseen pictures: not recorded." in " ".join(seen.alts)
    assert "Temperatures" not in seen.text


def test_a_run_without_result_is_refused_before_anything_is_written(make_run: MakeRun, tmp_path: Path):
    run = make_run()
    (run / "cv.json").unlink()
    with pytest.raises(UnfinishedRun, match=r"cv\.json"):
        write(run, tmp_path / "data", profile("whole"))
    assert not (run / "plots").exists()


class _Page(HTMLParser):
    """What a browser would take out of the page."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source, self.text = source, ""
        self.open: list[str] = []
        self.sources: list[str] = []
        self.alts: list[str] = []
        self.scripts = 0
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.scripts += tag == "script" or any(name.startswith("on") for name in found)
        if tag == "img":
            self.sources.append(found.get("src") or "")
            self.alts.append(found.get("alt") or "")
        assert "href" not in found
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def _page(run: Path, data: Path) -> _Page:
    write(run, data, profile("whole"))
    return _Page((run / "report.html").read_text(encoding="utf-8"))
