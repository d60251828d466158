"""A worker refuses, in one plain sentence, whatever it does not know; what is whole has the same id everywhere."""

import errno
import json
import os
import re
import shutil

import pytest

from smear import bundle
from smear.bundle import BadBundle, DataSet, Limits
from smear.cells import CELL_TYPES
from smear.decision import UNCALIBRATED, Calibration, OutsideDetector


NETWORK = b"not a real network, but bytes with a hash"


@pytest.fixture
def write(tmp_path):
    def make(name="wnet-test", **changed):
        given = {
            "network": NETWORK,
            "model_card": "# For tests\n",
            "geometry": "di60",
            "data": DataSet(name="none", sha256="0" * 64, images=0),
            "command": "trainer fit",
            "scores": {"accuracy": 0.5},
            "calibration": UNCALIBRATED,
            "training_mix": dict.fromkeys(CELL_TYPES, 0.2),
        } | changed
        return bundle.write(tmp_path / "models", name, **given)

    return make


@pytest.fixture
def folder(write):
    return write().folder


def edit(folder, **changed):
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


def refusal(folder):
    with pytest.raises(BadBundle) as refused:
        bundle.load(folder)
    said = str(refused.value)
    assert said.isprintable()
    assert str(folder) in said
    return said


# --- what is whole ----------------------------------------------------------------------------------------------


def test_what_is_written_is_read_back(write, tmp_path):
    made = write(parent="wnet@0123456789ab", recipe={"epochs": 3}, limits=Limits(type_agreement=0.99))
    read = bundle.load(tmp_path / "models" / "wnet-test")
    assert read == made
    assert read.network.read_bytes() == NETWORK
    assert set(os.listdir(read.folder)) == {"manifest.json", "wnet.onnx", "MODEL_CARD.md"}  # noqa: PTH208
    assert re.fullmatch(r"wnet-test@[0-9a-f]{12}", read.bundle_id)


def test_the_shipped_bundles_are_whole():
    from smear import shipped

    folders = [p.parent for p in shipped.folder("models").glob("*/manifest.json")]
    assert folders
    assert all(bundle.load(folder).manifest.name == folder.name for folder in folders)


def test_the_id_is_the_same_wherever_the_bundle_lies_and_whatever_is_told_about_it(write, folder, tmp_path):
    before = bundle.load(folder).bundle_id
    elsewhere = tmp_path / "another host" / "renamed"
    shutil.copytree(folder, elsewhere)
    edit(elsewhere, created="2031-01-01T00:00:00Z", command="another", scores={}, parent="x", training_mix={})
    assert bundle.load(elsewhere).bundle_id == before


def test_the_id_is_this_very_one(write):
    # It stands in results for years: computing it in another way would orphan them.
    assert write().bundle_id == "wnet-test@2c182fec8aa0"


@pytest.mark.parametrize(
    "changed",
    [
        {"network": NETWORK + b"."},
        {"geometry": "whole"},
        {"calibration": Calibration(temperature=1.1, outside=UNCALIBRATED.outside)},
        {"calibration": Calibration(temperature=1, outside=OutsideDetector(score="energy", threshold=1))},
    ],
    ids=["network", "geometry", "temperature", "detector"],
)
def test_the_id_changes_with_whatever_decides_the_answers(write, changed):
    assert write("a-1").bundle_id.split("@")[1] != write("a-2", **changed).bundle_id.split("@")[1]


def test_a_bundle_is_never_edited(write, folder):
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    with pytest.raises(FileExistsError, match="never edited"):
        write(network=b"another")
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_nothing_half_written_is_left_where_writing_fails(write, tmp_path, monkeypatch):
    monkeypatch.setattr(bundle.Manifest, "model_dump_json", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write()
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.parametrize("name", ["../x", "Upper", "", ".hidden", "a" * 64, "a/b"])
def test_a_bundle_of_no_plain_name_is_not_written(write, tmp_path, name):
    with pytest.raises((ValueError, FileExistsError)):
        write(name)
    assert not list(tmp_path.rglob("wnet.onnx"))


# --- refusals ---------------------------------------------------------------------------------------------------


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path):
    assert "there is no manifest.json" in refusal(tmp_path)
    assert "there is no manifest.json" in refusal(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "{", "\xff", "[" * 100_000, '{"format": NaN'])
def test_a_manifest_that_is_not_json_is_refused(folder, text):
    (folder / "manifest.json").write_text(text, encoding="latin-1")
    assert "cannot be read" in refusal(folder)


def test_a_manifest_of_megabytes_is_not_even_parsed(folder):
    (folder / "manifest.json").write_bytes(b" " * (2**20 + 1))
    assert "too large" in refusal(folder)


@pytest.mark.parametrize("content", ["[]", "7", "null", "{}", '{"format": 2}', '{"format": "1"}'])
def test_an_unknown_format_is_refused_with_the_one_that_is_read(folder, content):
    (folder / "manifest.json").write_text(content)
    assert "is unknown to this version, which reads 1" in refusal(folder)


def test_another_cell_order_is_refused(folder):
    edit(folder, cell_types=sorted(CELL_TYPES))
    assert "its cell order is basophil, eosinophil" in refusal(folder)


def test_an_unknown_geometry_is_refused(folder):
    edit(folder, geometry="square")
    assert "geometry profile 'square' is unknown" in refusal(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: bytes([data[0] ^ 1]) + data[1:],
        lambda _: b"",
    ],
    ids=["truncated", "longer", "flipped", "empty"],
)
@pytest.mark.parametrize("name", ["wnet.onnx", "MODEL_CARD.md"])
def test_other_bytes_than_the_manifest_says_are_refused(folder, name, change):
    path = folder / name
    path.write_bytes(change(path.read_bytes()))
    assert f"{name} is not what its manifest says" in refusal(folder)


def test_a_missing_file_is_refused(folder):
    (folder / "wnet.onnx").unlink()
    assert "wnet.onnx is missing" in refusal(folder)


def test_a_symlink_is_refused_even_to_the_right_bytes(folder, tmp_path):
    (folder / "wnet.onnx").rename(tmp_path / "elsewhere.onnx")
    (folder / "wnet.onnx").symlink_to(tmp_path / "elsewhere.onnx")
    assert "not a plain file" in refusal(folder)


@pytest.mark.parametrize(
    "name", ["../wnet.onnx", "/etc/passwd", "a/b", "..", ".", "", "manifest.json", "a\0b", "a\nb", "a" * 256]
)
def test_a_manifest_cannot_name_files_elsewhere(folder, name):
    files = json.loads((folder / "manifest.json").read_text())["files"]
    edit(folder, files=files | {name: "0" * 64})
    assert "not a valid manifest: files" in refusal(folder)


@pytest.mark.parametrize("name", ["wnet.onnx", "manifest.json"])
def test_a_pipe_or_a_folder_in_a_files_place_is_refused_and_keeps_nobody_waiting(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert "plain file" in refusal(folder)
    (folder / name).unlink()
    (folder / name).mkdir()
    assert "plain file" in refusal(folder)


def test_a_file_that_cannot_be_read_is_one_sentence(folder, monkeypatch):
    def failing(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(bundle.hashlib, "file_digest", failing)
    assert "wnet.onnx cannot be read: Input/output error" in refusal(folder)


def test_a_cell_order_or_a_format_of_any_kind_is_told_in_one_short_line(folder):
    edit(folder, cell_types=["a\nb", "c" * 100_000])
    assert len(refusal(folder)) < 1000
    edit(folder, format=["x\n" * 100_000])
    assert len(refusal(folder)) < 1000


def test_a_manifest_without_a_network_is_refused(folder):
    edit(folder, files={})
    assert "its manifest names no wnet.onnx" in refusal(folder)


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "../x"},
        {"created": "yesterday"},
        {"calibration": {"temperature": 0, "outside": {"score": "energy", "threshold": 1}}},
        {"calibration": {"temperature": 1, "outside": {"score": "hunch", "threshold": 1}}},
        {"files": {"wnet.onnx": "not a hash"}},
        {"data": None},
        {"surprise": 1},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_senseless_field_is_refused_by_its_name(folder, changed):
    edit(folder, **changed)
    assert f"is not a valid manifest: {next(iter(changed))}" in refusal(folder)
