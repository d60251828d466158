"""Commands say their warnings on standard error: standard output holds what they print, and nothing else."""

import json

import pytest
import structlog

from worker.engines.forms import SIDECAR, forms_folder
from worker.engines.spoken import speak


@pytest.fixture(autouse=True)
def _logging_as_it_was():
    yield
    structlog.reset_defaults()


def test_a_warning_is_one_sentence_on_standard_error_and_less_is_not_said(capsys):
    speak("worker")
    log = structlog.get_logger()
    log.debug("nothing", reason="x")
    log.info("nothing", reason="x")
    log.warning("TensorRT is not used", reason="there is no\ndriver", other=3)
    log.error("alone")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "worker: TensorRT is not used: there is no driver\nworker: alone\n"


@pytest.fixture
def damaged(bundle, settings):
    """A compiled form with a sidecar that is none."""
    folder = forms_folder(settings.engines_folder, bundle) / "openvino-1-abacus" / "int8"
    folder.mkdir(parents=True)
    (folder / SIDECAR).write_text("{")


def test_a_damaged_form_does_not_spoil_what_commands_print(damaged, settings, worker, make_slide, tmp_path, json_lines):
    make_slide(tmp_path / "slides", "S-1", 2)
    done = worker("classify", tmp_path / "slides", "--json")
    assert [line["slide_id"] for line in json_lines(done.stdout)] == ["S-1"]
    assert "worker: a compiled form is not used: " in done.stderr
    findings = {one["name"]: one for one in json_lines(worker("doctor", "--json").stdout)}
    assert findings["compiled forms"]["verdict"] == "mind"


def test_nor_what_engine_build_prints(damaged, bundle, settings, monkeypatch):
    from typer.testing import CliRunner

    from engine_build.cli import app

    monkeypatch.setenv("WNET_VAR", str(settings.var))
    result = CliRunner().invoke(app, ["inspect", str(bundle.folder), "--json"])
    assert json.loads(result.stdout)["forms"] == []
    assert "engine-build: a compiled form is not used: " in result.stderr
