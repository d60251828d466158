"""What `make run` compiles in the background: once for this processor, at idle priority, and never in anybody's way."""

import importlib.util
import shutil
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pytest

from engine_build import cli
from smear import bundle as bundles
from smear import shipped
from smear.bundle import NETWORK
from smear.shipped import shipped_bundle
from worker.engines.forms import Form, file_sha256, processor, stored_forms, write


PROGRAM = Path(__file__).parents[2] / "deploy" / "compile_engines.py"


@pytest.fixture
def engines(tmp_path, monkeypatch):
    monkeypatch.setenv("WNET_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("WNET_PRECISION", "int8")
    return tmp_path / "var" / "engines"


@pytest.fixture
def compile_engines(engines, monkeypatch):
    """The program, which does not lower this process's own priority; `idled` tells when it would have."""
    specification = importlib.util.spec_from_file_location("compile_engines", PROGRAM)
    program = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(program)
    program.idled = []
    monkeypatch.setattr(program, "idle", lambda: program.idled.append(True))
    return program


@pytest.fixture
def asked(monkeypatch):
    """What `engine-build` was asked to do, instead of doing it."""
    told = []
    monkeypatch.setattr(cli, "app", lambda args, **_: told.append(args))
    return told


@pytest.fixture
def made(engines):
    """made(**form): a compiled form of the bundle that serves."""
    bundle = bundles.load(shipped_bundle())

    def make(**changed):
        def fill(folder):
            (folder / "network.xml").write_bytes(b"xml")
            given = {"backend": "openvino", "precision": "int8", "runtime": "openvino", "version": version("openvino"),
                     "device": processor()} | changed  # fmt: skip
            return Form(
                bundle=bundle.bundle_id, network_sha256=bundle.manifest.files[NETWORK], built=datetime.now(UTC),
                files={path.name: file_sha256(path) for path in folder.iterdir()}, **given,
            )  # fmt: skip

        return write(engines, bundle, fill)

    return make


def test_nothing_is_compiled_for_the_reference_precision(compile_engines, asked, capfd, monkeypatch):
    monkeypatch.delenv("WNET_PRECISION")
    assert compile_engines.main() == 0
    assert asked == []
    assert capfd.readouterr().out == "nothing is compiled: WNET_PRECISION=fp32 needs no compiled form\n"
    assert not compile_engines.idled


@pytest.mark.parametrize(("processor", "wanted"), [("bf16", ["bf16", "int8"]), ("fp32", ["int8"])])
def test_a_race_compiles_what_may_win_on_this_processor(compile_engines, asked, monkeypatch, processor, wanted):
    from worker.engines import openvino

    monkeypatch.setenv("WNET_PRECISION", "auto")
    monkeypatch.setattr(openvino, "native_precision", lambda: processor)
    assert compile_engines.main() == 0
    assert asked == [["build", str(shipped_bundle()), "--precision", one] for one in wanted]


def test_int8_of_the_bundle_that_serves_is_asked_for_where_it_is_chosen(compile_engines, asked, capfd):
    assert compile_engines.main() == 0
    assert asked == [["build", str(shipped_bundle()), "--precision", "int8"]]
    assert compile_engines.idled


@pytest.mark.parametrize(
    ("name", "value"), [("WNET_COMPILE", "false"), ("WNET_ENGINE", "tensorrt"), ("WNET_ENGINE", "onnx")]
)
def test_nothing_is_compiled_where_the_settings_leave_nothing_to_do(
    compile_engines, asked, capfd, monkeypatch, name, value
):
    monkeypatch.setenv(name, value)
    assert compile_engines.main() == 0
    assert asked == []
    assert capfd.readouterr().out == "nothing is compiled: WNET_COMPILE and WNET_ENGINE leave nothing to do\n"


def test_what_was_compiled_is_not_compiled_again_even_if_it_did_not_agree(compile_engines, asked, made, capfd):
    made()
    assert compile_engines.main() == 0
    assert asked == []
    assert "was compiled for this host already" in capfd.readouterr().out


@pytest.mark.parametrize(
    "changed",
    [{"device": "abacus"}, {"version": "2020.1"}, {"precision": "fp32"}, {"backend": "onnx", "runtime": "onnxruntime"}],
    ids=["another processor", "another OpenVINO", "another precision", "another runtime"],
)
def test_a_form_that_is_not_this_hosts_int8_does_not_count(compile_engines, asked, made, changed):
    made(**changed)
    assert compile_engines.main() == 0
    assert len(asked) == 1


def test_a_damaged_form_is_made_again(compile_engines, asked, made):
    (made().folder / "network.xml").write_bytes(b"rust")
    assert compile_engines.main() == 0
    assert len(asked) == 1


def test_settings_and_bundles_that_cannot_be_used_are_one_sentence(compile_engines, asked, capfd, monkeypatch):
    monkeypatch.setattr(compile_engines, "bundle_folder", lambda _: Path("/nowhere"))
    assert compile_engines.main() == 0
    assert capfd.readouterr().out == "nothing is compiled: no bundle at /nowhere: there is no manifest.json\n"
    monkeypatch.setenv("WNET_LAYOUT", "heap")
    assert compile_engines.main() == 0
    assert capfd.readouterr().out.startswith("nothing is compiled: WNET_LAYOUT")
    assert asked == []


def test_without_the_extra_it_is_one_sentence_with_the_line_that_installs_it(compile_engines, capfd, monkeypatch):
    monkeypatch.setitem(sys.modules, "nncf", None)
    monkeypatch.setitem(sys.modules, "engine_build.cli", None)
    assert compile_engines.main() == 0
    said = capfd.readouterr()
    assert said.out.startswith("nothing is compiled (nncf not installed): ")
    assert said.out.endswith(" -m pip install -c constraints.txt --editable '.[engines]'\n")
    assert said.err == ""


def test_bfloat16_needs_no_nncf(compile_engines, asked, monkeypatch):
    monkeypatch.setenv("WNET_PRECISION", "bf16")
    monkeypatch.setitem(sys.modules, "nncf", None)
    assert compile_engines.main() == 0
    assert asked == [["build", str(shipped_bundle()), "--precision", "bf16"]]


def test_a_fault_is_told_and_does_not_end_the_service(compile_engines, capfd, monkeypatch):
    monkeypatch.setattr(cli, "app", lambda **_: 1 / 0)
    assert compile_engines.main() == 0
    said = capfd.readouterr()
    assert "ZeroDivisionError" in said.err
    assert said.out == "nothing is compiled: a fault of this program; its traceback is above\n"


def test_what_it_makes_is_verified_and_the_second_start_finds_it(
    compile_engines, engines, monkeypatch, capfd, tmp_path
):
    pytest.importorskip("nncf", reason="needs NNCF: pip install '.[engines]'")
    few = tmp_path / "few"
    for folder in shipped.folder("holdout").iterdir():
        if folder.is_dir():
            (few / folder.name).mkdir(parents=True)
            for picture in sorted(folder.iterdir())[:4]:
                shutil.copyfile(picture, few / folder.name / picture.name)
    real = cli.pictures
    monkeypatch.setattr(cli, "pictures", lambda served, *_: real(served, few, "whole"))
    assert compile_engines.main() == 0
    (stored,) = stored_forms(engines, bundles.load(shipped_bundle()))
    assert stored.form.name == "openvino-int8"
    assert stored.form.verification.images == 15
    capfd.readouterr()
    assert compile_engines.main() == 0
    assert "was compiled for this host already" in capfd.readouterr().out
