"""What the supervisor reports of real children that end in every way, and what it keeps to itself."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest


PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def supervise():
    spec = importlib.util.spec_from_file_location("supervise", PROJECT / "deploy" / "supervise.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def options(supervise, monkeypatch):
    """The supervisor's options, whose reports are kept in `reported` and started as a process that does nothing."""
    made, reported, real = supervise.WatchfulOptions(PROJECT), [], subprocess.Popen

    def start(command, **kept):
        reported.append(command[3:])
        return real([sys.executable, "-S", "-c", "pass"], **kept | {"cwd": None})

    monkeypatch.setattr(supervise.subprocess, "Popen", start)
    made.reported = reported
    yield made
    made.end_reports()


def ended(options, end, name="worker"):
    """Start a child that ends so, and let the supervisor find it; its process number."""
    child = os.fork()
    if child == 0:
        try:
            end()
        finally:
            os._exit(99)
    options.pidhistory[child] = SimpleNamespace(config=SimpleNamespace(name=name))
    deadline = time.monotonic() + 60
    while options.waitpid()[0] != child:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return child


def killed():
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_was_killed_or_left_is_reported_with_its_wait_status(options):
    first = ended(options, killed)
    second = ended(options, lambda: os._exit(3))
    assert options.reported == [
        ["died", "--pid", str(first), "--status", str(int(signal.SIGKILL))],
        ["died", "--pid", str(second), "--status", str(3 << 8)],
    ]


def test_memory_that_ran_out_meanwhile_is_reported_once(options, supervise, monkeypatch):
    before = options._memory_kills
    monkeypatch.setattr(supervise, "out_of_memory_kills", lambda: before + 1)
    ended(options, killed)
    ended(options, killed)
    assert ["--out-of-memory" in command for command in options.reported] == [True, False]


def test_a_worker_that_stopped_as_told_and_other_processes_are_not_reported(options):
    ended(options, lambda: os._exit(0))
    ended(options, killed, name="watcher")
    assert options.reported == []


def test_nothing_is_reported_while_everything_stops(options, supervise):
    options.mood = supervise.SupervisorStates.SHUTDOWN
    ended(options, killed)
    assert options.reported == []


def test_a_precision_that_nothing_here_can_compile_is_one_sentence_and_no_start(
    supervise, tmp_path, monkeypatch, capfd
):
    monkeypatch.setenv("WNET_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("WNET_PRECISION", "int8")
    monkeypatch.setitem(sys.modules, "nncf", None)
    monkeypatch.setattr(supervise.ForeverSupervisor, "main", lambda _: pytest.fail("it started"))
    assert supervise.main() == 2
    (sentence,) = capfd.readouterr().err.splitlines()
    assert sentence.startswith("cannot start: WNET_PRECISION=int8 needs a compiled form, which takes packages")
    assert sentence.endswith("(nncf): " + f"{sys.executable} -m pip install -c constraints.txt --editable '.[engines]'")


@pytest.mark.parametrize(("name", "value"), [("WNET_PRECISION", "fp32"), ("WNET_COMPILE", "false")])
def test_what_needs_no_compiling_starts_without_its_packages(supervise, tmp_path, monkeypatch, name, value):
    from smear.settings import load_settings

    monkeypatch.setenv("WNET_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("WNET_PRECISION", "int8")
    monkeypatch.setenv(name, value)
    monkeypatch.setitem(sys.modules, "nncf", None)
    supervise._check_chosen_precision(load_settings())


def test_make_run_installs_nothing_that_compiles():
    lines = (PROJECT / "Makefile").read_text().splitlines()
    recipe = lines[lines.index(next(line for line in lines if line.startswith("$(VENV)/.running:"))) :][:4]
    assert "\t@$(INSTALL) ." in recipe


def test_a_start_records_its_own_state_and_follows_no_record(supervise, tmp_path, monkeypatch):
    from smear import installation

    other = tmp_path / "other"
    (other / "models").mkdir(parents=True)
    installation.record(other, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WNET_VAR", "")  # put back afterwards: the start sets it for its processes
    monkeypatch.setattr(supervise.WatchfulOptions, "realize", lambda *_: None)
    started = []
    monkeypatch.setattr(supervise.ForeverSupervisor, "__init__", lambda *_: None)
    monkeypatch.setattr(supervise.ForeverSupervisor, "main", lambda _: started.append(os.environ["WNET_VAR"]))
    before = os.umask(0o022)
    try:
        assert supervise.main() == 0
    finally:
        os.umask(before)
    assert started == [str(tmp_path / "var")]
    assert installation.find() == installation.Installation(tmp_path / "var", tmp_path)
