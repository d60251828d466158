"""The systemd units: real commands, real settings, the Procfile's list, supervise.py's policy, and a tight sandbox."""

import ctypes
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_lines import PROJECT, procfile, refusal
from supervise import BACK_OFF_SECONDS, ONCE, STOP_SECONDS
from unit_files import HOME, SYSTEMD, UNITS, drop_ins, read_unit, sandbox, services

from smear.settings import Settings


SERVICES = services()
FOR_EVER = sorted(name for name in SERVICES if name not in ONCE | {"migrate"})
SETTINGS = {f"WNET_{name.upper()}" for name in Settings.model_fields}
#: systemd-analyze counts from 0 (safe) to 10; 1.2 and 0.8 (broker) were reached with systemd 252.
MOST_EXPOSED = 1.5

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze: apt-get install systemd"
)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units as they would be installed, but starting the programs of this environment."""
    folder = tmp_path / "system"
    shutil.copytree(UNITS, folder)
    for path in folder.glob("*.service"):
        text = path.read_text().replace(f"{HOME}.venv/bin/", f"{Path(sys.executable).parent}/")
        path.write_text(text.replace(HOME, f"{PROJECT}/"))
    return folder


def analyze(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # The colon at the end: after these, the system's own units.
    environment = os.environ | {"SYSTEMD_UNIT_PATH": f"{folder}:"}
    return subprocess.run(
        ["systemd-analyze", *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def names(folder: Path) -> list[str]:
    return [path.name.replace("@", "@1") for path in sorted(folder.glob("wnet*.*")) if path.is_file()]


# --- what is started ----------------------------------------------------------------------------------------------


def test_the_procfiles_processes_and_the_units_are_the_same_list():
    # `make run` migrates before it starts anything; here that is a unit of its own.
    assert {name: unit.command for name, unit in SERVICES.items()} == procfile() | {"migrate": "worker migrate"}


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_unit_starts_is_accepted_by_the_real_program(name):
    assert refusal(SERVICES[name].command) is None


@pytest.mark.parametrize(
    "wrong",
    ["worker wach", "worker watch --now", "celery -A worker worker -P nope", "python deploy/no.py", "sleep 1"],
)
def test_a_wrong_command_would_be_refused(wrong):
    assert refusal(wrong)


def test_every_variable_and_credential_is_a_setting():
    for unit in [*SERVICES.values(), *drop_ins()]:
        assert unit.environment.keys() <= SETTINGS | {"CUDA_VISIBLE_DEVICES"}, unit.path
        credentials = [value.split(":")[0].upper() for value in unit.all("Service", "LoadCredential")]
        assert set(credentials) <= SETTINGS, unit.path
    offered = re.findall(r"^#?(WNET_\w+)=", (SYSTEMD / "wnet.env").read_text(), re.MULTILINE)
    assert offered
    assert set(offered) <= SETTINGS


def test_what_the_units_set_is_accepted_by_the_settings():
    for unit in [sandbox(), *drop_ins()]:
        Settings(_env_file=None, **{name.removeprefix("WNET_").lower(): v for name, v in unit.environment.items()})


def test_the_target_brings_every_unit_up_and_down():
    for unit in SERVICES.values():
        assert unit.one("Unit", "PartOf") == "wnet.target"
        assert unit.one("Install", "WantedBy") == "wnet.target"
    assert read_unit(UNITS / "wnet.target").one("Install", "WantedBy") == "multi-user.target"


# --- restarting and stopping, as deploy/supervise.py does ---------------------------------------------------------


@pytest.mark.parametrize("name", FOR_EVER)
def test_what_dies_is_started_again_for_ever(name):
    unit = SERVICES[name]
    assert unit.one("Service", "Restart") == "always"
    assert float(unit.one("Service", "RestartSec")) <= BACK_OFF_SECONDS
    assert unit.one("Unit", "StartLimitIntervalSec") == "0"


def test_what_runs_once_a_start_is_not_started_again():
    assert {SERVICES[name].one("Service", "Restart") for name in ONCE} == {"no"}


def test_a_database_that_is_not_up_yet_does_not_end_the_migration():
    unit = SERVICES["migrate"]
    assert (unit.one("Service", "Type"), unit.one("Service", "Restart")) == ("oneshot", "on-failure")
    assert unit.one("Unit", "StartLimitIntervalSec") == "0"


def test_all_are_down_within_30_seconds():
    seconds = {name: float(SERVICES[name].one("Service", "TimeoutStopSec")) for name in [*FOR_EVER, *ONCE]}
    broker = seconds.pop("broker")
    assert set(seconds.values()) == {STOP_SECONDS}
    # systemd stops in the opposite order of After=: these side by side, then the broker.
    assert all("wnet-broker.service" in SERVICES[n].one("Unit", "After") for n in seconds if n not in ONCE)
    assert max(seconds.values()) + broker <= 30
    # As supervisord: SIGTERM for the process itself, SIGKILL for whatever of its group is left.
    assert {SERVICES[name].one("Service", "KillMode") for name in [*FOR_EVER, *ONCE]} == {"mixed"}


def test_a_share_that_is_away_stops_nobody():
    for unit in [*SERVICES.values(), sandbox()]:
        assert not {"RequiresMountsFor", "BindsTo", "Requires"} & {key for _, key, _ in unit.pairs}, unit.path


# --- the sandbox --------------------------------------------------------------------------------------------------


def test_only_the_state_folder_can_be_written():
    shared = sandbox()
    assert shared.one("Service", "ProtectSystem") == "strict"
    assert shared.environment["WNET_VAR"] == f"/var/lib/{shared.one('Service', 'StateDirectory')}"
    assert shared.one("Service", "ReadOnlyPaths").removeprefix("-") == shared.environment["WNET_DROP"]
    opening = {"ReadWritePaths", "BindPaths", "CacheDirectory", "LogsDirectory", "RuntimeDirectory"}
    for unit in [*SERVICES.values(), *drop_ins()]:
        assert not opening & {key for _, key, _ in unit.pairs}, unit.path


@needs_systemd
def test_systemd_finds_nothing_wrong_with_the_units(installed):
    done = analyze(installed, "verify", "--man=no", *names(installed))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_systemd
@pytest.mark.parametrize("spoilt", ["ProtectSistem=strict", "ExecStart=/nowhere/worker"])
def test_systemd_would_find_a_mistake(installed, spoilt):
    unit = installed / "wnet-watcher.service"
    unit.write_text(unit.read_text().replace("[Service]", f"[Service]\n{spoilt}"))
    done = analyze(installed, "verify", "--man=no", unit.name)
    assert done.returncode or done.stderr


@needs_systemd
def test_the_drop_ins_for_servers_elsewhere_and_gpus_are_understood_too(installed):
    for kind in ("remote", "gpu"):
        shutil.copytree(SYSTEMD / kind, installed, dirs_exist_ok=True)
    done = analyze(installed, "verify", "--man=no", *names(installed))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_changes_the_sandbox_is_read_after_it():
    # systemd reads the drop-ins of all folders together, by file name; `systemctl edit` writes override.conf.
    assert sandbox().path.name == min([unit.path.name for unit in drop_ins()] + ["override.conf"])


@needs_systemd
def test_a_gpus_devices_are_seen_by_its_worker_alone(installed):
    shutil.copytree(SYSTEMD / "gpu", installed, dirs_exist_ok=True)
    hidden = {}
    for unit in ("wnet-worker@1.service", "wnet-watcher.service"):
        said = analyze(installed, "security", "--offline=true", "--no-pager", unit).stdout
        hidden[unit] = re.search(r"(\S) PrivateDevices=", said)[1]
    assert hidden == {"wnet-worker@1.service": "✗", "wnet-watcher.service": "✓"}


@needs_systemd
def test_every_unit_is_hardly_exposed(installed):
    units = [name for name in names(installed) if name.endswith(".service")]
    threshold = f"--threshold={MOST_EXPOSED * 10:.0f}"
    done = analyze(installed, "security", "--offline=true", "--no-pager", threshold, *units)
    assert done.returncode == 0, [line for line in done.stdout.splitlines() if "Overall" in line]


@needs_systemd
def test_without_the_sandbox_the_units_would_be_exposed(installed):
    shutil.rmtree(installed / "wnet-.service.d")
    done = analyze(installed, "security", "--offline=true", "--no-pager", "--threshold=50", "wnet-worker@1.service")
    assert done.returncode != 0


# --- MemoryDenyWriteExecute: where it is said, and where it cannot be ---------------------------------------------

PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1


def refuse_new_code() -> None:
    """The kernel's own form of MemoryDenyWriteExecute, from here on and for all children."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0) != 0:
        os._exit(77)


def test_what_may_write_no_code_needs_to_write_none(tmp_path):
    assert {n for n, unit in SERVICES.items() if unit.all("Service", "MemoryDenyWriteExecute")} == {
        "migrate",
        "broker",
        "watcher",
    }
    environment = os.environ | {"WNET_VAR": str(tmp_path / "var"), "WNET_SCAN_SECONDS": "1"}
    (tmp_path / "var" / "drop").mkdir(parents=True)

    def start(name: str) -> subprocess.Popen[str]:
        program, *arguments = SERVICES[name].command.split()
        assert program == "worker"
        return subprocess.Popen(
            [sys.executable, "-c", "from worker.cli import main; main()", *arguments],
            cwd=PROJECT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            preexec_fn=refuse_new_code,  # noqa: PLW1509 - one call into libc, before any thread
        )  # fmt: skip

    migrated = start("migrate")
    said = migrated.communicate(timeout=120)[0]
    if migrated.returncode == 77:
        pytest.skip("needs Linux 6.3 for PR_SET_MDWE")
    assert migrated.returncode == 0, said
    broker, watcher = start("broker"), start("watcher")
    try:
        assert watcher.stdout is not None
        first = watcher.stdout.readline()
        assert "event=watching" in first or "level=" in first, first
        status = [sys.executable, "-c", "from worker.cli import main; main()", "status", "--json"]
        done = subprocess.run(status, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
        assert '"answers": true, "waiting": 0' in done.stdout, done.stdout + done.stderr
        assert (broker.poll(), watcher.poll()) == (None, None)
    finally:
        for process in (watcher, broker):
            process.terminate()
            process.communicate(timeout=60)
