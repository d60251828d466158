"""`trainer nightly` as a person and as the schedule call it, and what the schedule does on a host that cannot train."""

import json
import sys

import pytest
from typer.testing import CliRunner

from smear import extras, priority, runs
from smear.lease import Lease
from smear.nightly_tables import RunRow
from smear.tables import utc_now
from trainer import cli
from trainer.nightly import by_schedule


idled = []


@pytest.fixture
def trainer(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("WNET_VAR", str(settings.var))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(priority, "idle", lambda: idled.append(True))
    idled.clear()
    return lambda *arguments: CliRunner().invoke(cli.app, ["nightly", *arguments])


def test_without_labels_it_says_what_is_missing_and_that_is_no_failure(trainer):
    told = trainer("--json")
    assert told.exit_code == 0
    assert json.loads(told.stdout)["outcome"] == "0 new labels, 50 needed"
    assert idled  # by hand too slides come first
    assert "today has had its night" in " ".join(trainer("--by-schedule").stderr.split())


def test_while_another_runs_it_says_so(trainer, lab_store, settings):
    with Lease(lab_store, runs.LEASE, settings.lease_seconds):
        told = trainer()
    assert (told.exit_code, "under way already" in told.stderr) == (0, True)


def test_without_a_database_the_cure_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("WNET_VAR", str(tmp_path / "nothing"))
    told = CliRunner().invoke(cli.app, ["nightly"])
    assert told.exit_code == 2
    assert "worker migrate" in told.stderr


@pytest.fixture
def schedule(settings, monkeypatch):
    """What the schedule started and sent."""
    done = []
    monkeypatch.setattr(by_schedule, "load_settings", lambda: settings)
    monkeypatch.setattr(by_schedule, "run_process", lambda: done.append("process"))

    def send(name, args, queue, expires):
        assert expires > 0  # where no host builds, messages do not pile up
        done.append((name, args, queue))

    monkeypatch.setattr(by_schedule.current_app, "send_task", send)
    return done


def test_the_schedule_goes_on_only_with_what_is_unfinished(schedule, lab_store):
    by_schedule.go_on(begin=False)
    assert schedule == []
    by_schedule.go_on(begin=True)
    assert schedule == ["process"]
    with lab_store.write() as session:
        for stage, state in zip(runs.STAGES, ("done", "running", "waiting", "waiting", "waiting"), strict=True):
            session.add(RunRow(night="2031-05-01", stage=stage, state=state, created_at=utc_now()))
            session.flush()
    by_schedule.go_on(begin=False)
    assert schedule == ["process"] * 2


def test_the_build_is_handed_to_its_room_by_name(schedule, lab_store):
    with lab_store.write() as session:
        for stage, state in zip(runs.STAGES, ("done", "done", "waiting", "waiting", "waiting"), strict=True):
            session.add(RunRow(night="2031-05-01", stage=stage, state=state, created_at=utc_now()))
            session.flush()
    by_schedule.go_on(begin=False)
    assert schedule == [(runs.BUILD, ["2031-05-01"], "build")]


def test_a_host_that_cannot_train_does_nothing_and_says_once_what_it_lacks(schedule, monkeypatch):
    from structlog.testing import capture_logs

    monkeypatch.setitem(sys.modules, "torch", None)
    by_schedule._say_once.cache_clear()
    with capture_logs() as logged:
        for _ in range(3):  # as the schedule asks, every five minutes
            by_schedule.go_on(begin=False)
    assert schedule == []
    assert [(line["missing"], line["install"]) for line in logged] == [("torch", extras.install_line("train"))]
