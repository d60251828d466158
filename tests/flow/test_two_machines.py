"""Watcher and worker on machines of their own, with PostgreSQL and Valkey servers that ask for passwords."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time

import pytest
from service import PROJECT

from smear import shipped
from worker.broker import NoBroker, server_program


SAMPLES = shipped.folder("samples")
BROKER_PASSWORD = "broker-secret-0815"
#: What must be in no log, whoever writes it: barcodes, order numbers, sidecar fields, file names, passwords.
SECRETS = ("BARCODE", "4711", "ORDER-77", "EDTA-MARROW", "WRIGHT-GIEMSA", "SMITH", BROKER_PASSWORD, "pg-secret")


@pytest.fixture
def broker_on_tcp(tmp_path):
    """URL of a Valkey server on loopback that asks for a password."""
    try:
        program = server_program()
    except NoBroker as error:
        pytest.skip(str(error))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = f"--port {port} --bind 127.0.0.1 --requirepass {BROKER_PASSWORD} --appendonly no --dir {tmp_path}"
    server = subprocess.Popen([program, *options.split(), "--save", ""], stdout=subprocess.DEVNULL)
    yield f"redis://:{BROKER_PASSWORD}@127.0.0.1:{port}/0"
    server.terminate()
    server.wait()


@pytest.fixture
def machine(tmp_path, postgres_on_tcp, broker_on_tcp):
    """machine(name, *command): a command on a machine of that name, its log; all share the drop folder alone."""
    drop, started = tmp_path / "share", []
    drop.mkdir()

    def environment(name):
        return {
            **{n: v for n, v in os.environ.items() if not n.startswith("WNET_")},
            "WNET_VAR": str(tmp_path / name),
            "WNET_DROP": str(drop),
            "WNET_DATABASE_URL": postgres_on_tcp,
            "WNET_BROKER_URL": broker_on_tcp,
            "WNET_FILE_SETTLE_SECONDS": "0.2",
            "WNET_SETTLE_SECONDS": "1",
            "WNET_LOG_LEVEL": "debug",
            "WNET_DISK_RESERVE_MB": "20",
        }

    def start(name, *command):
        log = tmp_path / f"{name}.log"
        with log.open("ab") as file:
            process = subprocess.Popen(
                [sys.executable, *command], cwd=PROJECT, env=environment(name), stdout=file, stderr=file
            )
        started.append(process)
        return process, log

    def call(name, *arguments):
        return subprocess.run(
            [sys.executable, "-c", "from worker.cli import main; main()", *arguments],
            cwd=PROJECT, env=environment(name), capture_output=True, text=True, timeout=1000, check=False,
        )  # fmt: skip

    start.call, start.drop = call, drop
    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.timeout(1800)
def test_slides_come_out_once_and_no_log_says_whose_they_are(machine):
    for name in ("one", "two"):  # each has its own copy of the shipped bundle; the schema is brought to head once
        done = machine.call(name, "migrate")
        assert done.returncode == 0, done.stderr
    worker_command = ["-m", "celery", "--quiet", "-A", "worker", "worker", "-Q", "slides", "-P", "solo"]
    worker_command += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    processes = {
        "watcher": machine("one", "-c", "from worker.cli import main; main()", "watch"),
        "worker": machine("two", *worker_command),
    }
    slide = machine.drop / "BARCODE-4711"
    shutil.copytree(SAMPLES / "S-0001", slide)
    (slide / "SMITH_JOHN.jpg").write_bytes(b"rubbish")
    (slide / "slide.json").write_text(
        json.dumps({"order_id": "ORDER-77", "specimen": "EDTA-MARROW", "stain": "WRIGHT-GIEMSA"})
    )
    shutil.copytree(SAMPLES / "S-0002", machine.drop / "BARCODE-0002")

    def results():
        done = machine.call("one", "results", "--json")
        assert done.returncode == 0, done.stderr
        return {one["slide_id"]: one for one in map(json.loads, done.stdout.splitlines())}

    deadline = time.monotonic() + 900
    found = results()
    while [one["state"] for one in found.values()] != ["classified"] * 2:
        for process, log in processes.values():
            assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, [log.read_text()[-2000:] for _, log in processes.values()]
        time.sleep(0.5)
        found = results()
    first = found["BARCODE-4711"]
    pictures = len(list((SAMPLES / "S-0001").iterdir()))
    assert (first["cells"]["total"], first["cells"]["unreadable"]) == (pictures + 1, 1)
    assert first["problems"] == [{"file": "SMITH_JOHN.jpg", "reason": "not a JPEG, PNG, BMP or TIFF picture"}]

    told = json.loads(machine.call("one", "status", "--json").stdout)
    assert told["needs_attention"] == []
    assert told["broker"] == {"answers": True, "waiting": 0}
    assert told["sources"][0]["scanned_seconds_ago"] is not None
    for process, _ in processes.values():
        process.terminate()
    for process, log in processes.values():
        assert process.wait(300) == 0, log.read_text()
        said = log.read_text().replace(str(machine.drop), "")
        assert "settled" in said or "classified" in said
        assert [secret for secret in SECRETS if secret in said] == []
