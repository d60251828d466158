"""Folders with names that mean something in a configuration file, a URL or a format: all work as any other."""

import os
import shelve
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import smear
from smear import store as stores
from smear.settings import MAX_SOCKET_PATH_BYTES, Settings
from smear.store import Store, migrate, schema_problem
from worker.queue import depth, publish, sender


PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "deploy"))
from supervise import WatchfulOptions, folder_variables, supervisor_configuration  # noqa: E402 - deploy/ is no package


ODD = ["50%off", "100%25", "%(here)s", "a #1", "a ;b", 'it\'s "x"', "ümlaut", "a@b:c", "[x]", "a&b=c", "$HOME", "a\\b"]


@pytest.fixture(params=ODD)
def odd(request, tmp_path_factory):
    """A short folder of such a name, so that sockets fit in it."""
    folder = tmp_path_factory.mktemp("o") / request.param
    folder.mkdir()
    return folder


def test_the_schema_is_made_by_an_installation_in_such_a_folder(odd, monkeypatch):
    shutil.copytree(Path(smear.__file__).with_name("migrations"), odd / "migrations")
    monkeypatch.setattr(stores, "__file__", str(odd / "store.py"))
    store = Store(Settings(_env_file=None, var=odd / "var").database)
    assert store.file == odd / "var" / "wnet.sqlite"
    migrate(store, odd / "var" / "migrate.lock")
    assert schema_problem(store) is None
    assert (odd / "var" / "wnet.sqlite").exists()
    store.close()


def test_the_supervisor_finds_every_folder(odd, monkeypatch):
    programs, var, project = odd / "bin", odd / "var", odd / "project"
    for folder in (programs, var / "run", var / "logs", project):
        folder.mkdir(parents=True)
    for name in ("python", "worker"):
        (programs / name).write_text("#!/bin/sh\n")
    monkeypatch.setattr(sys, "executable", str(programs / "python"))
    settings = Settings(_env_file=None, var=var)
    for name, value in folder_variables(settings, project).items():
        monkeypatch.setenv(name, value)
    configuration = odd / "supervisor.conf"
    configuration.write_text(supervisor_configuration({"broker": "worker broker 100%"}, settings), encoding="utf-8")
    options = WatchfulOptions(project)
    options.realize(["-n", "-c", str(configuration)])
    (group,) = options.process_group_configs
    (process,) = group.process_configs
    assert shlex.split(process.command)[-3:] == [str(programs / "worker"), "broker", "100%"]
    assert process.directory == str(project)
    assert process.stdout_logfile == str(var / "logs" / "broker.log")
    assert options.logfile == str(var / "logs" / "supervisor.log")
    assert options.pidfile == str(settings.socket_folder / "supervisor.pid")
    assert options.server_configs[0]["file"] == str(settings.socket_folder / "supervisor.sock")


def test_the_broker_is_reached_and_the_schedule_kept(odd):
    settings = Settings(_env_file=None, var=odd / "v")
    assert len(os.fsencode(settings.broker_socket)) <= MAX_SOCKET_PATH_BYTES
    process = subprocess.Popen(
        [sys.executable, "-c", "from worker.cli import main; main()", "broker"],
        env=os.environ | {"WNET_VAR": str(odd / "v")}, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    app = sender(settings)
    try:
        deadline = time.monotonic() + 30
        while depth(app) is None:
            assert process.poll() is None, "the broker ended"
            assert time.monotonic() < deadline
            time.sleep(0.05)
        publish(app, 7)
        assert depth(app) == 1
        assert (odd / "v" / "broker" / "appendonlydir").is_dir()
    finally:
        process.kill()
        process.wait()
    with shelve.open(str(settings.var / "schedule")) as kept:  # noqa: S301 - as Celery's beat does, on a file of our own
        kept["entries"] = {}


def test_a_question_mark_is_refused_in_words(monkeypatch, tmp_path):
    from smear.settings import BadSettings, load_settings

    monkeypatch.setenv("WNET_VAR", str(tmp_path / "what?"))
    with pytest.raises(BadSettings, match="WNET_VAR: a folder without a question mark"):
        load_settings()
