import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from smear.geometry import profile
from smear.labelled import load_pixels, read_folder
from trainer import cli
from trainer.lisc import BadLisc, import_lisc, windows


WIDE, HIGH = 720, 576
MASKS = "Ground Truth Segmentation"
CLASSES = ("Baso", "eosi", "lymp", "mono", "neut")


def _scene(cells: list[tuple[int, int, int]], number: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A picture with dark discs (x, y, radius) and the mask of them: nucleus lighter than cytoplasm, as drawn."""
    picture = np.full((HIGH, WIDE, 3), (220, 200, 205 + number), np.uint8)
    mask = np.zeros((HIGH, WIDE), np.uint8)
    for x, y, radius in cells:
        cv2.circle(picture, (x, y), radius, (90, 40, 140), -1)
        cv2.circle(mask, (x, y), radius, 128, -1)
        cv2.circle(mask, (x, y), radius // 2, 255, -1)
    return picture, mask


def _cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:5000])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Made scenes in LISC's folders: two a class, the second with two cells, and one of mixed classes."""
    root = tmp_path / "LISC Database"
    for place, name in enumerate((*CLASSES, "mixt")):
        pictures, masks = root / "Main Dataset" / name, root / "Ground Truth Segmentation" / name / "areaforexpert1"
        pictures.mkdir(parents=True)
        masks.mkdir(parents=True)
        for number, cells in ((1, [(300, 250, 60)]), (2, [(120, 100, 50), (500, 400, 70)])):
            picture, mask = _scene(cells, 6 * place + number)
            Image.fromarray(picture).save(pictures / f"{number}.bmp")
            Image.fromarray(mask).save(masks / f"{number}_expert.bmp")
    return root


def test_every_drawn_cell_becomes_a_picture_of_its_type_and_its_scene_a_group(source, tmp_path):
    made = import_lisc(source, tmp_path / "cells")
    assert (made.scenes, made.mixed) == (10, 2)
    assert made.cells == dict.fromkeys(made.cells, 3)
    cells = read_folder(tmp_path / "cells")
    assert len(cells) == 15
    by_group: dict[str, int] = {}
    for cell in cells:
        assert cell.group is not None
        by_group[cell.group] = by_group.get(cell.group, 0) + 1
    assert sorted(by_group.values()) == [1] * 5 + [2] * 5


def test_cut_cells_are_square_centred_and_of_the_geometry_whole(source, tmp_path):
    import_lisc(source, tmp_path / "cells")
    with Image.open(tmp_path / "cells" / "neutrophil" / "1_1.png") as image:
        cell = np.asarray(image)
    # A disc of 121 pixels across and a tenth of room on each side.
    assert cell.shape == (145, 145, 3)
    assert tuple(cell[72, 72]) == (90, 40, 140)
    assert tuple(cell[2, 2])[:2] == (220, 200)
    pixels = load_pixels(read_folder(tmp_path / "cells"), profile("whole"))
    assert pixels.images.shape == (15, 128, 128, 3)
    assert not pixels.refused


def test_a_cell_at_the_edge_is_cut_within_the_picture_and_specks_are_no_cells():
    mask = np.zeros((HIGH, WIDE), bool)
    mask[:100, 620:] = True
    mask[300:305, 300:305] = True
    ((rows, columns),) = windows(mask)
    assert (rows, columns) == (slice(0, 120), slice(600, 720))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda root: (root / "Main Dataset").rename(root / "Scenes"), "holds no folder 'Main Dataset'"),
        (lambda root: (root / "Ground Truth Segmentation/mono/areaforexpert1/2_expert.bmp").unlink(), "has no masks"),
        (lambda root: (root / "Main Dataset/mono/1.bmp").write_bytes(b"BM"), "mono/1.bmp: "),
        (lambda root: Image.new("L", (10, 10)).save(root / MASKS / "eosi/areaforexpert1/1_expert.bmp"),
         "does not belong to its scene: 10x10 and 720x576 pixels"),
        (lambda root: Image.new("L", (WIDE, HIGH)).save(root / MASKS / "lymp/areaforexpert1/1_expert.bmp"),
         "nothing was drawn"),
        (lambda root: _cut_short(root / MASKS / "neut/areaforexpert1/2_expert.bmp"), "2_expert.bmp cannot be read: "),
        (lambda root: [p.unlink() for p in (root / "Main Dataset/Baso").iterdir()], "no scene of type basophil"),
    ],
)  # fmt: skip
def test_what_is_not_lisc_is_named_and_leaves_nothing_behind(source, tmp_path, spoil, says):
    spoil(source)
    with pytest.raises(BadLisc, match=says):
        import_lisc(source, tmp_path / "out" / "cells") if (tmp_path / "out").mkdir() is None else None
    assert list((tmp_path / "out").iterdir()) == []


def test_two_scenes_of_one_number_are_refused_rather_than_one_lost(source, tmp_path):
    scenes = source / "Main Dataset" / "neut"
    with Image.open(scenes / "1.bmp") as image:
        image.save(scenes / "1.png")
    with pytest.raises(BadLisc, match="more than one scene 1"):
        import_lisc(source, tmp_path / "cells")


def test_two_folders_of_one_type_do_not_overwrite_each_other(source, tmp_path):
    scenes = source / "Main Dataset"
    shutil.copytree(scenes / "neut", scenes / "NEUT")
    with pytest.raises(BadLisc, match=r"(NEUT|neut) holds more than one scene"):
        import_lisc(source, tmp_path / "cells")


def test_a_scenes_name_is_taken_as_it_is_and_the_folder_one_stands_in_can_be_filled(source, tmp_path, monkeypatch):
    (source / "Main Dataset" / "neut" / "1.bmp").rename(source / "Main Dataset" / "neut" / "1[2].bmp")
    masks = source / MASKS / "neut" / "areaforexpert1"
    (masks / "1_expert.bmp").rename(masks / "1[2]_expert.bmp")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    import_lisc(source, Path())
    assert len(read_folder(tmp_path / "empty")) == 15


def test_the_command_says_how_many_cells_there_are_and_refuses_a_folder_in_use(source, tmp_path):
    call = ["import-lisc", str(source), str(tmp_path / "cells")]
    result = CliRunner().invoke(cli.app, [*call, "--json"])
    assert result.exit_code == 0, result.stderr
    printed = json.loads(result.stdout)
    assert printed["cells"]["lymphocyte"] == 3
    assert printed["mixed_scenes_left_out"] == 2
    with (tmp_path / "cells" / "metadata.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 15
    again = CliRunner().invoke(cli.app, call)
    assert again.exit_code == 2
    assert "is there already" in again.stderr
