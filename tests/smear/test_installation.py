"""Commands find the installation's state from any folder, say which they use, and never mix two."""

import json
import os
import subprocess
import sys

import pytest

from smear import installation
from smear.settings import load_settings


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The folder of an installation that was prepared; this process stands in another one."""
    folder, elsewhere = tmp_path / "laboratory", tmp_path / "elsewhere"
    (folder / "var").mkdir(parents=True)
    elsewhere.mkdir()
    monkeypatch.chdir(folder)
    (folder / "var" / "wnet.sqlite").touch()
    installation.remember(load_settings(recorded=False))
    monkeypatch.chdir(elsewhere)
    return folder


def test_the_recorded_state_is_found_from_another_folder_and_named(home, capsys):
    assert load_settings().var == home / "var"
    assert capsys.readouterr().err.startswith(f"using the state in {home}/var, which ")


def test_a_variable_and_this_folders_own_state_count_more(home, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WNET_VAR", str(tmp_path / "mine"))
    assert load_settings().var == tmp_path / "mine"
    monkeypatch.delenv("WNET_VAR")
    (tmp_path / "elsewhere" / ".env").write_text("WNET_DROP=/data\n")
    assert load_settings().var == tmp_path / "elsewhere" / "var"
    (tmp_path / "elsewhere" / ".env").write_text("OTHER=1\n")
    (tmp_path / "elsewhere" / "var").mkdir()
    assert load_settings().var == home / "var"
    capsys.readouterr()
    (tmp_path / "elsewhere" / "var" / "wnet.sqlite").touch()
    assert load_settings().var == tmp_path / "elsewhere" / "var"
    assert capsys.readouterr().err == ""


def test_a_recorded_folders_env_file_counts_with_its_relative_paths(home, monkeypatch):
    (home / ".env").write_text(
        "WNET_DROP=ward=in,lab=/data\nWNET_PICTURES=pictures\nWNET_SCAN_SECONDS=7\nWNET_VAR=var\n"
    )
    settings = load_settings()
    assert [(one.name, str(one.root)) for one in settings.sources] == [("ward", f"{home}/in"), ("lab", "/data")]
    assert (settings.var, settings.pictures_folder) == (home / "var", home / "pictures")
    assert settings.scan_seconds == 7
    monkeypatch.setenv("WNET_DROP", "/another")
    assert [str(one.root) for one in load_settings().sources] == ["/another"]


def test_the_latest_that_is_still_there_is_found(home, tmp_path):
    later = tmp_path / "later"
    (later / "models").mkdir(parents=True)
    installation.record(later, tmp_path)
    assert load_settings().var == later
    (later / "models").rmdir()
    assert load_settings().var == home / "var"


def test_another_virtual_environment_has_a_record_of_its_own(home, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "prefix", "/another/.venv")
    assert load_settings().var == tmp_path / "elsewhere" / "var"
    installation.record(tmp_path / "other", tmp_path)
    told = json.loads(installation.record_file().read_text())
    assert len(told) == 2


@pytest.mark.parametrize("text", ["", "{", "[]", '{"x": 1}', "\udcff"])
def test_a_spoilt_record_is_no_record(home, text, tmp_path):
    file = installation.record_file()
    file.write_bytes(text.replace("x", sys.prefix).encode("utf-8", "surrogateescape"))
    assert load_settings().var == tmp_path / "elsewhere" / "var"


def test_a_home_that_cannot_be_written_to_or_is_none_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    installation.record(tmp_path / "var", tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setattr("pathlib.Path.home", lambda: (_ for _ in ()).throw(RuntimeError))
    installation.record(tmp_path / "var", tmp_path)
    assert installation.find() is None
    assert "no home folder" in installation.where_else()


def run(folder, *command, **variables):
    return subprocess.run(
        [sys.executable, "-c", "from worker.cli import main; main()", *command],
        cwd=folder, env=os.environ | variables, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_commands_in_another_folder_use_the_migrated_state_and_make_no_second_one(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    done = run(second, "results")
    assert done.returncode == 2
    assert f"there is no database at {second}/var/wnet.sqlite: " in done.stderr
    assert "none is recorded in " in done.stderr
    assert run(first, "migrate").returncode == 0
    done = run(second, "results", "--json")
    assert (done.returncode, done.stdout) == (0, "")
    assert f"using the state in {first}/var" in done.stderr
    done = run(second, "migrate")
    assert done.returncode == 0
    assert f"using the state in {first}/var" in done.stderr
    assert f"up to date in {first}/var" in done.stderr
    assert run(second, "status", "--json").stdout.startswith("{")
    assert list(second.iterdir()) == []
    assert run(second, "migrate", WNET_VAR="var").returncode == 0
    assert (second / "var" / "wnet.sqlite").exists()
