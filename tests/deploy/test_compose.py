"""The compose file: valid, hardened, with real commands and settings, and secrets that the real broker takes."""

import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_lines import PROJECT, procfile, refusal
from sqlalchemy import make_url
from supervise import ONCE, STOP_SECONDS

from smear.settings import Settings, load_settings
from worker.broker import server_command, server_program


FOLDER = PROJECT / "deploy" / "docker"
FILES = sorted(FOLDER.glob("compose*.yaml"))
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if service["image"].startswith("wnet-worker:"))
SETTINGS = {f"WNET_{name.upper()}" for name in Settings.model_fields}


def validate(path: Path) -> subprocess.CompletedProcess[str]:
    """Against the schema of the Compose Specification, as the package check-jsonschema carries it."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_is_valid(path):
    pytest.importorskip("check_jsonschema", reason="needs the package check-jsonschema")
    done = validate(path)
    assert done.returncode == 0, done.stdout


def test_a_mistake_would_be_found(tmp_path):
    pytest.importorskip("check_jsonschema", reason="needs the package check-jsonschema")
    path = tmp_path / "compose.yaml"
    path.write_text((FOLDER / "compose.yaml").read_text().replace("service_healthy", "service_happy"))
    assert validate(path).returncode == 1


# --- what runs ----------------------------------------------------------------------------------------------------


def test_it_runs_the_procfiles_processes_and_the_servers():
    # The broker of the Procfile is this machine's own; here it is a server, as the database is.
    processes = procfile() | {"migrate": "worker migrate"}
    del processes["broker"]
    assert sorted(processes) == OURS
    for name in OURS:
        command = " ".join(SERVICES[name]["command"])
        inside = command.replace("/opt/wnet/deploy/", "deploy/")
        assert inside == processes[name]
        assert refusal(inside) is None
    assert SERVICES.keys() - set(OURS) == {"database", "broker"}


def test_every_variable_and_secret_is_a_setting():
    for path in FILES:
        for name, service in yaml.safe_load(path.read_text())["services"].items():
            if name in OURS:
                assert service.get("environment", {}).keys() <= SETTINGS | {"CREDENTIALS_DIRECTORY", "TZ"}
    assert {secret.upper() for name in OURS for secret in SERVICES[name]["secrets"]} <= SETTINGS


def test_images_are_pinned_to_a_version():
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
    assert {SERVICES[name]["image"] for name in OURS} == {f"wnet-worker:{version}"}
    for service in SERVICES.values():
        assert re.search(r":\d+\.\d+", service["image"]), service["image"]


def test_nobody_starts_before_what_it_needs_is_there():
    for name in OURS:
        needs = {other: how["condition"] for other, how in SERVICES[name]["depends_on"].items()}
        assert needs["database"] == "service_healthy"
        if name != "migrate":
            assert needs["migrate"] == "service_completed_successfully"
            assert needs["broker"] == "service_healthy"
        for other, condition in needs.items():
            if condition == "service_healthy":
                assert SERVICES[other]["healthcheck"]["test"]


def test_restarting_and_stopping_are_as_supervise_does():
    for name in set(OURS) - {"migrate"}:
        assert SERVICES[name]["restart"] == ("no" if name in ONCE else "unless-stopped")
        assert SERVICES[name]["stop_grace_period"] == f"{STOP_SECONDS}s"
    assert SERVICES["migrate"]["restart"] == "on-failure"


# --- what it may ----------------------------------------------------------------------------------------------------


def test_every_container_is_hardened_and_none_is_reached_from_outside():
    for name, service in SERVICES.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["networks"] == ["inside"], name
        assert not {"ports", "privileged", "cap_add", "network_mode", "devices", "pid"} & service.keys(), name
        # The image's own user, or one that is named here; never root.
        assert name in OURS or service["user"] == "999:999"
    assert COMPOSE["networks"]["inside"]["internal"] is True


def test_the_share_is_read_only_and_follows_what_the_host_mounts():
    for name in OURS:
        (share,) = (v for v in SERVICES[name]["volumes"] if v["type"] == "bind")
        assert share["read_only"] is True
        assert share["bind"] == {"propagation": "rslave", "create_host_path": False}
        assert share["target"] == "/drop"


def test_logs_do_not_grow_without_bound():
    for service in SERVICES.values():
        assert {"max-size", "max-file"} <= service["logging"]["options"].keys()


# --- secrets --------------------------------------------------------------------------------------------------------


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """What make-secrets.sh makes."""
    shutil.copy(FOLDER / "make-secrets.sh", tmp_path)
    subprocess.run(["sh", str(tmp_path / "make-secrets.sh")], check=True, capture_output=True)
    return tmp_path / "secrets"


def test_secrets_are_made_once_and_for_their_owner_alone(secrets):
    named = {Path(secret["file"]) for secret in COMPOSE["secrets"].values()}
    assert named == {Path("secrets", path.name) for path in secrets.iterdir()}
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    before = {path.name: path.read_text() for path in secrets.iterdir()}
    again = subprocess.run(["sh", str(secrets.parent / "make-secrets.sh")], capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert "already" in again.stderr
    assert {path.name: path.read_text() for path in secrets.iterdir()} == before


def test_git_never_sees_the_secrets():
    ignored = subprocess.run(
        ["git", "check-ignore", "deploy/docker/secrets/postgres_password"],
        cwd=PROJECT,
        capture_output=True,
        check=False,
    )
    assert ignored.returncode == 0


def test_our_containers_and_the_database_share_a_password(secrets, monkeypatch):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(secrets))
    url = make_url(load_settings().database)
    database = SERVICES["database"]["environment"]
    assert (url.drivername, url.host, url.username, url.database) == (
        "postgresql+psycopg", "database", database["POSTGRES_USER"], database["POSTGRES_DB"],
    )  # fmt: skip
    assert url.password == (secrets / "postgres_password").read_text().strip()
    assert len(url.password) == 48


def test_the_broker_starts_as_composed_and_wants_the_password(secrets, tmp_path, monkeypatch):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(secrets))
    broker = make_url(load_settings().broker)
    assert (broker.host, broker.port) == ("broker", 6379)
    _, config, *options = SERVICES["broker"]["command"]
    path = tmp_path / "s"
    data = tmp_path / "data"
    data.mkdir()
    command = [str(server_program()), str(secrets / Path(config).name), *options]
    # Here, on a socket instead of a port of the container's own network.
    command += ["--port", "0", "--unixsocket", str(path), "--dir", str(data)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        for _ in range(600):
            if path.exists() or server.poll() is not None:
                break
            time.sleep(0.05)
        assert server.poll() is None, server.stdout.read()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30)
            connection.connect(os.fspath(path))
            answers = []
            for line in ("PING", "AUTH wrong", f"AUTH {broker.password}", "PING"):
                connection.sendall(f"{line}\r\n".encode())
                answers.append(connection.recv(200).decode().split()[0])
        # The health check takes the first answer for a sign of life.
        assert answers == ["-NOAUTH", "-WRONGPASS", "+OK", "+PONG"]
        assert "NOAUTH" in SERVICES["broker"]["healthcheck"]["test"][1]
    finally:
        server.terminate()
        server.communicate(timeout=30)


def test_the_broker_is_set_as_a_single_machines_is(make_settings):
    single = server_command(Path("valkey-server"), make_settings())
    of_the_machine = {"--port", "--unixsocket", "--unixsocketperm", "--dir", "--set-proc-title"}
    pairs = dict(zip(single[1::2], single[2::2], strict=True))
    composed = SERVICES["broker"]["command"][2:]
    assert dict(zip(composed[::2], composed[1::2], strict=True)) == {
        option: value for option, value in pairs.items() if option not in of_the_machine
    }
