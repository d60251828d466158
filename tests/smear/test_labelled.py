"""Labelled data folders: what is read from them, and what is refused."""

import os

import numpy as np
import pytest

from smear.cells import CELL_TYPES
from smear.geometry import PROFILES
from smear.labelled import BadDataFolder, data_sha256, load_pixels, read_folder


@pytest.fixture
def data(tmp_path, sample_pictures):
    for i, cell_type in enumerate(CELL_TYPES):
        (tmp_path / "data" / cell_type).mkdir(parents=True)
        for j in range(2):
            content = sample_pictures[2 * i + j].read_bytes()
            (tmp_path / "data" / cell_type / f"{j}.jpg").write_bytes(content)
    return tmp_path / "data"


def test_cells_come_ordered_by_type_and_name_with_their_groups(data):
    (data / "metadata.csv").write_text("file,label,group\nbasophil/1.jpg,basophil,P-3\nmonocyte/0.jpg,monocyte,\n")
    (data / "basophil" / "notes.txt").write_text("left alone")
    (data / ".cache").mkdir()
    cells = read_folder(data)
    assert [(c.cell_type, c.path.name) for c in cells] == [(t, f"{j}.jpg") for t in CELL_TYPES for j in range(2)]
    assert {c.path.parent.name: c.group for c in cells if c.path.name == "1.jpg"}["basophil"] == "P-3"
    assert sum(c.group is not None for c in cells) == 1


def test_the_identity_of_a_set_is_its_contents_and_labels_alone(data):
    before = data_sha256(read_folder(data))
    (data / "basophil" / "0.jpg").rename(data / "basophil" / "renamed.jpg")
    assert data_sha256(read_folder(data)) == before
    (data / "basophil" / "renamed.jpg").rename(data / "monocyte" / "moved.jpg")
    assert data_sha256(read_folder(data)) != before


def test_what_cannot_be_used_is_refused_with_the_reason(data, tmp_path):
    with pytest.raises(BadDataFolder, match="no data folder at"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(BadDataFolder, match="2 pictures of type neutrophil, at least 3"):
        read_folder(data, min_per_type=3)
    (data / "blast").mkdir()
    with pytest.raises(BadDataFolder, match=r"'blast' in .* is none of"):
        read_folder(data)
    (data / "blast").rmdir()
    (data / "monocyte" / "twin.jpg").write_bytes((data / "basophil" / "0.jpg").read_bytes())
    with pytest.raises(BadDataFolder, match="the same picture has two labels"):
        read_folder(data)


def test_class_codes_of_analysers_name_folders_too(data):
    (data / "basophil").rename(data / "BA")
    assert [c.cell_type for c in read_folder(data)] == [t for t in CELL_TYPES for _ in range(2)]


def test_pixels_are_in_the_order_of_their_cells_and_refused_pictures_set_aside(data):
    (data / "eosinophil" / "0.jpg").write_bytes(b"rubbish")
    pixels = load_pixels(read_folder(data), PROFILES["di60"])
    assert (pixels.images.shape, pixels.images.dtype) == ((9, 128, 128, 3), np.uint8)
    assert [CELL_TYPES[label] for label in pixels.labels] == [c.cell_type for c in pixels.cells]
    ((cell, reason),) = pixels.refused
    assert (cell.cell_type, reason) == ("eosinophil", "not a JPEG, PNG, BMP or TIFF picture")


def _groups(data):
    return {f"{cell.path.parent.name}/{cell.path.name}": cell.group for cell in read_folder(data) if cell.group}


def test_the_mark_that_spreadsheets_put_before_the_first_column_costs_no_group(data):
    (data / "metadata.csv").write_text("file,label,group\nbasophil/1.jpg,basophil,P-3\n", encoding="utf-8-sig")
    assert _groups(data) == {"basophil/1.jpg": "P-3"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"file;label;group\nbasophil/1.jpg;basophil;P-3\n", r"has no column 'file'"),
        (b"", r"has no column 'file'"),
        (b"file,label,group\nbasophil/\xe4.jpg,basophil,P-3\n", r"metadata\.csv cannot be read as .* UTF-8: .*0xe4"),
        (b'file,label,group\n"' + b"x" * 200_000 + b'",a,b\n', r"metadata\.csv cannot be read as .*field limit"),
    ],
)
def test_groups_that_cannot_be_read_are_not_lost_without_a_word(data, content, said):
    (data / "metadata.csv").write_bytes(content)
    with pytest.raises(BadDataFolder, match=said):
        read_folder(data)


@pytest.mark.parametrize("make", [lambda p: p.mkdir(), lambda p: p.symlink_to("nowhere"), os.mkfifo])
def test_what_is_called_as_a_picture_but_is_no_file_is_named(data, make):
    make(data / "basophil" / "x.jpg")
    with pytest.raises(BadDataFolder, match=r"basophil/x\.jpg is called as a picture, but it is no file"):
        read_folder(data)
