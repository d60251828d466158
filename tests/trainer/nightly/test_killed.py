"""A night whose processes are killed outright at every stage: the champion serves on, the night comes to its end."""

import os
import signal
import subprocess
import sys
import time

import pytest
from sqlmodel import select

from smear import bundle
from smear.cells import CELL_TYPES
from smear.nightly_tables import LeaseRow, RunRow, ScorecardRow
from smear.runs import STAGES
from smear.tables import BundleRow
from worker.models import serving


@pytest.fixture
def trainer(settings, tmp_path):
    """trainer(): `trainer nightly` in a session of its own, as a person starts it; killed at the end if still there."""
    started = []

    def start():
        environment = os.environ | {
            "WNET_VAR": str(settings.var), "WNET_BASE_DATA": str(settings.base_data), "WNET_NIGHTLY_MIN_LABELS": "20",
            "WNET_NIGHTLY_MINUTES": "0.2", "OMP_NUM_THREADS": "1", "WNET_GEOMETRY": "di60",
        }  # fmt: skip
        with (tmp_path / "night.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", "from trainer.cli import main; main()", "nightly", "--threads", "1"],
                cwd=tmp_path, env=environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        kill(process)


def kill(process):
    """The whole group at once, the build's process too."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def stages(store):
    with store.read() as session:
        return {row.stage: row for row in session.exec(select(RunRow))}


def under_way(stage, store, folder):
    """Whether it has begun; of training, whether there is an epoch to go on from."""
    row = stages(store).get(stage)
    if row is None or row.state != "running":
        return False
    return stage != "train" or (folder / row.night / "checkpoint.pt").is_file()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_killed_at_every_stage_the_night_goes_on_there_and_ends(
    trainer, laboratory, lab_store, settings, lab_pictures, tmp_path
):
    # The base is a folder of cut cells, and the champion's geometry is di60: give it whole pictures.
    for cell_type in CELL_TYPES:
        for old in (settings.base_data / cell_type).iterdir():
            old.unlink()
        for number, data in enumerate([data for data, label in lab_pictures if label == cell_type][:24]):
            (settings.base_data / cell_type / f"{number}.jpg").write_bytes(data + b"\0")
    laboratory()
    champion = serving(lab_store)
    for stage in STAGES:
        process = trainer()
        deadline = time.monotonic() + 900
        while not under_way(stage, lab_store, settings.nightly_folder):
            assert process.poll() is None, (tmp_path / "night.log").read_text()[-3000:]
            assert time.monotonic() < deadline, (tmp_path / "night.log").read_text()[-3000:]
            time.sleep(0.005)
        kill(process)
        assert stages(lab_store)[stage].state == "running"
        assert serving(lab_store) == champion
        assert bundle.load(settings.models_folder / champion[1]).bundle_id == champion[0]
    assert trainer().wait(1200) == 0, (tmp_path / "night.log").read_text()[-3000:]
    found = stages(lab_store)
    assert [found[stage].state for stage in STAGES] == ["done"] * 5, (tmp_path / "night.log").read_text()[-3000:]
    # Each was taken up again: once killed, once done.
    assert [found[stage].attempts for stage in STAGES] == [2] * 5
    with lab_store.read() as session:
        (card,) = session.exec(select(ScorecardRow)).all()
        registered = {row.bundle_id for row in session.exec(select(BundleRow))}
        assert session.exec(select(LeaseRow.holder)).one() is None
    assert (card.challenger in registered) == card.passed
    assert serving(lab_store) == champion
    # Nothing is left of what was killed: no staging, no checkpoint, no half-made form.
    assert not list(settings.models_folder.glob(".*"))
    assert not [*settings.nightly_folder.rglob("*.pt"), *settings.nightly_folder.rglob("*.partial")]
    assert not list(settings.engines_folder.glob("*/.*"))
