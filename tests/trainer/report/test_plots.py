import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from smear.geometry import profile
from trainer.report.confusion import confusion_plot
from trainer.report.reliability import reliability_plot
from trainer.report.sheet import contact_sheet, short_name
from trainer.report.wrong import thumbnails, wrong_cells
from trainer.run_folder import open_run


def _size(png: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(png)) as picture:
        picture.load()
        return picture.size


@pytest.mark.parametrize(
    "confusion",
    [np.eye(5, dtype=int) * 9, np.zeros((5, 5), int), np.full((5, 5), 12345)],
    ids=["right", "none", "many"],
)
def test_a_confusion_matrix_of_any_kind_is_drawn(confusion: np.ndarray):
    assert _size(confusion_plot(confusion.tolist()))[0] > 900


@pytest.mark.parametrize("wrong", [0, 1, 20])
def test_a_reliability_diagram_is_drawn_with_and_without_errors(wrong: int):
    probabilities = np.full((20, 5), 0.0, np.float32)
    probabilities[:, 0] = 1.0
    labels = np.array([1] * wrong + [0] * (20 - wrong))
    assert _size(reliability_plot(probabilities, labels, wrong / 20))[0] > 800


def test_wrong_cells_come_the_most_confident_first(make_run: Callable[..., Path]):
    cells = open_run(make_run(wrong={("basophil", 4): "monocyte", ("neutrophil", 2): "basophil"})).cells
    cells.probabilities[2] = (0.01, 0.01, 0.96, 0.01, 0.01)
    found = wrong_cells(cells)
    assert [(cell.file, cell.true, cell.predicted) for cell in found] == [
        ("neutrophil/neutrophil_02.png", "neutrophil", "basophil"),
        ("basophil/basophil_04.png", "basophil", "monocyte"),
    ]
    # Numbered as in the table of folds beside it.
    assert (found[0].fold, found[0].probability, found[0].own) == (2, pytest.approx(0.96), pytest.approx(0.01))


@pytest.mark.parametrize("n", [0, 1, 10])
def test_a_contact_sheet_of_any_number_is_drawn(make_run: Callable[..., Path], tmp_path: Path, n: int):
    run = make_run(per_type=10, wrong={("basophil", i): "monocyte" for i in range(n)},
                   rename={("basophil", 0): "basophil/$x^{$ 細胞\u202e.png"})  # fmt: skip
    shown = thumbnails(wrong_cells(open_run(run).cells), tmp_path / "data", profile("whole"))
    assert all(t.picture is not None for t in shown)
    assert _size(contact_sheet(shown))[0] >= 200


def test_a_picture_of_a_size_the_profile_does_not_know_is_left_out_with_the_reason(
    make_run: Callable[..., Path], tmp_path: Path
):
    run = make_run(wrong={("basophil", 0): "monocyte"})
    (shown,) = thumbnails(wrong_cells(open_run(run).cells), tmp_path / "data", profile("di60"))
    assert shown.picture is None
    assert "40x40 pixels" in shown.missing


def test_long_names_keep_their_end():
    assert short_name("a/" + "x" * 40 + "123.jpg") == "...xxxxxxxxxxxx123.jpg"
    assert short_name("a/b.jpg") == "b.jpg"


def test_a_picture_whose_name_is_no_text_is_found(make_run: Callable[..., Path], tmp_path: Path):
    run = make_run(wrong={("basophil", 0): "monocyte"}, rename={("basophil", 0): r"basophil/\xe4\\b.png"})
    (tmp_path / "data" / r"basophil/\xe4\\b.png").rename(tmp_path / "data/basophil" / os.fsdecode(b"\xe4\\b.png"))
    (shown,) = thumbnails(wrong_cells(open_run(run).cells), tmp_path / "data", profile("whole"))
    assert (shown.picture is not None, shown.missing) == (True, "")
