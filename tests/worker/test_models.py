"""Which bundle serves: seeded whole or not at all, followed without a restart, refused where it is another."""

import json
import shutil
import subprocess
import sys

import pytest
from sqlmodel import select

from smear import bundle as bundles
from smear import shipped
from smear.bundle import BadBundle
from smear.shipped import shipped_bundle
from smear.tables import BundleRow, ServingRow
from worker.install import prepare
from worker.models import ServingEngine, register, seed, serving


@pytest.fixture
def make_bundle(tmp_path):
    """make_bundle(name, network): a small whole bundle among the others."""

    def make(name, network=b"network"):
        return bundles.write(
            tmp_path / "var" / "models",
            name,
            network,
            "# For tests\n",
            geometry="di60",
            data=bundles.DataSet(name="none", sha256="0" * 64, images=0),
            command="none",
            scores={},
            calibration=bundles.load(shipped_bundle()).manifest.calibration,
            training_mix={},
        )

    return make


def serve(store, bundle):
    with store.write() as session:
        row = session.get(ServingRow, 1)
        row.bundle = session.exec(select(BundleRow.id).where(BundleRow.bundle_id == bundle.bundle_id)).one()
        session.add(row)


def test_the_shipped_bundle_is_copied_once_and_then_left_alone(tmp_path):
    first = seed(tmp_path / "models")
    assert bundles.load(first).bundle_id == bundles.load(shipped_bundle()).bundle_id
    (first / "note").touch()
    assert seed(tmp_path / "models") == first
    assert (first / "note").exists()
    assert [p.name for p in (tmp_path / "models").iterdir()] == [first.name]


def test_a_copy_that_broke_off_is_made_anew(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copytree", full)
        with pytest.raises(OSError, match="No space"):
            seed(tmp_path / "models")
    assert not list((tmp_path / "models").glob("*/manifest.json"))
    half = tmp_path / "models" / shipped_bundle().name
    half.mkdir()
    (half / "wnet.onnx").write_bytes(b"half")
    assert bundles.load(seed(tmp_path / "models")).folder == half


def test_another_host_that_is_faster_is_not_disturbed(tmp_path, monkeypatch):
    real = shutil.copytree

    def copy_slowly(source, target, **options):
        copied = real(source, target, **options)
        monkeypatch.setattr(shutil, "copytree", real)
        (seed(tmp_path / "models") / "note").touch()
        return copied

    monkeypatch.setattr(shutil, "copytree", copy_slowly)
    folder = seed(tmp_path / "models")
    assert bundles.load(folder).folder == folder
    assert (folder / "note").exists()
    assert [p.name for p in (tmp_path / "models").iterdir()] == [folder.name]


SEED = """
import sys
from pathlib import Path
from worker.models import seed
sys.stdin.read()
seed(Path(sys.argv[1]))
"""


def test_several_processes_may_seed_at_once(tmp_path):
    command = [sys.executable, "-c", SEED, str(tmp_path / "models")]
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for process in started:
        process.stdin.close()
        process.stdin = None
    errors = [process.communicate(timeout=100)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], errors
    (folder,) = (tmp_path / "models").iterdir()
    assert bundles.load(folder).manifest.name == folder.name


def test_what_is_not_shipped_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "folder", lambda _: tmp_path)
    with pytest.raises(BadBundle, match="no bundle in"):
        shipped_bundle()

    def missing(_):
        raise FileNotFoundError("the folder models/ that is shipped is not installed here")

    monkeypatch.setattr(shipped, "folder", missing)
    with pytest.raises(BadBundle, match="not installed here"):
        shipped_bundle()


def test_the_first_bundle_serves_and_later_ones_wait(store, make_bundle):
    assert serving(store) is None
    first, second = make_bundle("first"), make_bundle("second", b"other")
    number = register(store, first)
    assert register(store, first) == number
    assert register(store, second) != number
    assert serving(store) == (first.bundle_id, "first")


def test_preparing_twice_changes_nothing(make_settings, sqlite_store, dump):
    settings = make_settings()
    prepare(settings)
    before = dump(sqlite_store)
    prepare(settings)
    assert dump(sqlite_store) == before
    assert len(before["bundles"]) == len(before["serving"]) == 1


@pytest.fixture
def opened():
    return []


@pytest.fixture
def engine_of(sqlite_store, tmp_path, opened, fake_engine):
    def open_(bundle):
        opened.append(bundle.bundle_id)
        return fake_engine

    return ServingEngine(sqlite_store, tmp_path / "var" / "models", open_)


def test_an_engine_is_opened_once_and_a_change_is_followed(sqlite_store, make_bundle, engine_of, opened):
    first, second = make_bundle("first"), make_bundle("second", b"other")
    register(sqlite_store, first)
    register(sqlite_store, second)
    assert [engine_of.get()[0].bundle_id for _ in range(3)] == [first.bundle_id] * 3
    serve(sqlite_store, second)
    assert engine_of.get()[0] == second
    serve(sqlite_store, first)
    assert engine_of.get()[0] == first
    assert opened == [first.bundle_id, second.bundle_id, first.bundle_id]


def test_an_engine_that_failed_is_opened_anew(sqlite_store, make_bundle, engine_of, opened):
    bundle = make_bundle("first")
    register(sqlite_store, bundle)
    engine_of.get()
    engine_of.forget()
    assert engine_of.get()[0] == bundle
    assert opened == [bundle.bundle_id] * 2


def test_no_bundle_serves_before_one_is_registered(engine_of):
    with pytest.raises(BadBundle, match="worker migrate"):
        engine_of.get()


def test_another_bundle_in_the_folder_is_refused(sqlite_store, make_bundle, engine_of, opened):
    first = make_bundle("first")
    register(sqlite_store, first)
    shutil.rmtree(first.folder)
    make_bundle("first", b"somebody else's")
    with pytest.raises(BadBundle, match=f"but {first.bundle_id} serves: copy it again"):
        engine_of.get()
    assert opened == []


def test_a_bundle_that_is_gone_or_damaged_is_refused_and_found_when_it_returns(
    sqlite_store, make_bundle, engine_of, opened
):
    first = make_bundle("first")
    register(sqlite_store, first)
    manifest = first.folder / "manifest.json"
    text = manifest.read_text()
    for content in ("", json.dumps(json.loads(text) | {"format": 2})):
        manifest.write_text(content)
        with pytest.raises(BadBundle):
            engine_of.get()
    manifest.write_text(text)
    assert engine_of.get()[0] == first


def test_a_damaged_successor_leaves_the_reason_and_not_the_old_answer(sqlite_store, make_bundle, engine_of):
    first, second = make_bundle("first"), make_bundle("second", b"other")
    register(sqlite_store, first)
    register(sqlite_store, second)
    engine_of.get()
    (second.folder / "wnet.onnx").write_bytes(b"damaged")
    serve(sqlite_store, second)
    with pytest.raises(BadBundle, match="SHA-256 differs"):
        engine_of.get()


def test_a_compiled_form_that_has_come_to_be_is_taken_at_the_next_slide(
    sqlite_store, make_bundle, tmp_path, opened, fake_engine
):
    made_of = ["nothing compiled"]

    def open_(bundle):
        opened.append(made_of[0])
        return fake_engine

    served = ServingEngine(sqlite_store, tmp_path / "var" / "models", open_, lambda _: made_of[0])
    register(sqlite_store, make_bundle("first"))
    served.get()
    served.get()
    made_of[0] = "int8"
    served.get()
    served.get()
    assert opened == ["nothing compiled", "int8"]
