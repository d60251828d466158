"""What others write into the queues: a real worker drops and counts it, and lives."""

import base64
import json
import os
import subprocess
import sys
import time

import pytest
import redis

from smear.junk import DROPPED_KEY
from smear.store import Store
from smear.tables import RevisionRow
from worker.broker_state import look_at_broker, repair_broker
from worker.install import prepare
from worker.queue import depth, publish, sender


def envelope(**changed):
    """A message as Celery writes it, with some of it changed; None leaves a part out."""
    whole = {
        "body": base64.b64encode(json.dumps([[1], {}, {}]).encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": "worker.classify", "id": "1-2-3", "root_id": "1-2-3", "parent_id": None},
        "properties": {
            "correlation_id": "1-2-3", "reply_to": "4-5-6", "delivery_mode": 2, "priority": 0,
            "delivery_info": {"exchange": "", "routing_key": "slides"},
            "body_encoding": "base64", "delivery_tag": "7-8-9",
        },
    }  # fmt: skip
    return json.dumps({name: value for name, value in (whole | changed).items() if value is not None})


def with_headers(**changed):
    return envelope(headers=json.loads(envelope())["headers"] | changed)


def with_properties(**changed):
    return envelope(properties=json.loads(envelope())["properties"] | changed)


JUNK = {
    "no JSON": b"garbage",
    "no text": b"\xff\xfe\x00",
    "nothing": b"",
    "a number": b"7",
    "a list": b"[]",
    "null": b"null",
    "an empty object": b"{}",
    "deeply nested": b"[" * 200_000,
    "a value that is none": b'{"__type__": "uuid", "__value__": "x"}',
    "huge": b"x" * 5_000_000,
    "no properties": envelope(properties=None),
    "properties of a wrong type": envelope(properties=[1]),
    "no delivery tag": envelope(properties={"body_encoding": "base64"}),
    "a delivery tag that is a list": with_properties(delivery_tag=[]),
    "no delivery info": with_properties(delivery_info=None),
    "a body of an unknown encoding": with_properties(body_encoding="rot13"),
    "a body that is no base64": envelope(body="%%%"),
    "a body that is no JSON": envelope(body=base64.b64encode(b"garbage").decode()),
    "a body that is a number": envelope(body=base64.b64encode(b"7").decode()),
    "another content type": envelope(**{"content-type": "application/x-python-serialize"}),
    "an unknown content encoding": envelope(**{"content-encoding": "klingon"}),
    "no headers": envelope(headers=None),
    "headers that are a text": envelope(headers="x"),
    "headers that are a list": envelope(headers=[1]),
    "no id": envelope(headers={"task": "worker.classify"}),
    "an unknown task": with_headers(task="os.system"),
    "a task that is a list": with_headers(task=["worker.classify"]),
    "a time that is none": with_headers(eta="never", expires="never"),
    "a time limit that is none": with_headers(timelimit=7),
    "retries that are none": with_headers(retries="x"),
    "an id that is a list": with_headers(id=[1]),
}


@pytest.fixture
def service(broker, settings, tmp_path):
    """(client of the broker, worker process, its log) of a worker that takes messages."""
    prepare(settings)
    broker.start()
    log = tmp_path / "worker.log"
    environment = os.environ | {"WNET_VAR": str(settings.var), "WNET_DROP": settings.drop, "WNET_LOG_LEVEL": "debug"}
    with log.open("w") as file:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "-A", "worker", "worker", "-Q", "slides", "-P", "solo"),
                *("--without-gossip", "--without-mingle", "--without-heartbeat"),
            ],
            cwd=tmp_path, env=environment, stdout=file, stderr=file,
        )  # fmt: skip
    client = redis.Redis(unix_socket_path=str(settings.broker_socket))
    yield client, process, log
    client.close()
    process.kill()
    process.wait()


def wait_for(condition, process, log, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, log.read_text()[-4000:]
        assert time.monotonic() < deadline, log.read_text()[-4000:]
        time.sleep(0.05)


def test_a_worker_outlives_whatever_stands_in_its_queue(service, settings, queue_slide):
    client, process, log = service
    app, store = sender(settings), Store(settings.database)
    for junk in JUNK.values():
        client.lpush("wnet:slides", junk)
    revision = queue_slide(store)
    publish(app, revision, 0)

    def tried():
        with store.read() as session:
            return session.get(RevisionRow, revision).state != "queued"

    wait_for(tried, process, log)
    wait_for(lambda: depth(app) == 0 and client.hlen("wnet:unacked") == 0, process, log)
    dropped = int(client.get(DROPPED_KEY))
    assert 15 <= dropped <= len(JUNK)
    said = log.read_text()
    assert said.count("dropped from the queue: no message of ours") == dropped
    assert "garbage" not in said.replace("a body that is no JSON", "")
    state = look_at_broker(app)
    assert state.dropped == dropped
    assert state.problems == [
        (
            f"{dropped} entries of the broker's queues were not messages of this service and were dropped: "
            "another program writes to this broker"
        )
    ]
    store.close()


@pytest.mark.parametrize("key", ["wnet:slides", "wnet:unacked"])
def test_a_worker_goes_on_after_a_key_of_a_wrong_type(service, settings, queue_slide, key):
    client, process, log = service
    app, store = sender(settings), Store(settings.database)
    wait_for(lambda: b"ready" in log.read_bytes(), process, log)
    client.delete(key)
    client.set(key, "x")
    time.sleep(3)
    assert process.poll() is None, log.read_text()[-4000:]
    assert repair_broker(app) == 1  # as the watcher does
    revision = queue_slide(store)
    publish(app, revision, 0)

    def tried():
        with store.read() as session:
            return session.get(RevisionRow, revision).state != "queued"

    wait_for(tried, process, log)
    store.close()


def test_a_worker_goes_on_after_its_broker_was_read_only(service, settings, queue_slide):
    client, process, log = service
    app, store = sender(settings), Store(settings.database)
    wait_for(lambda: b"ready" in log.read_bytes(), process, log)
    client.replicaof("127.0.0.1", 1)
    time.sleep(4)
    assert process.poll() is None, log.read_text()[-4000:]
    client.replicaof("NO", "ONE")
    revision = queue_slide(store)
    publish(app, revision, 0)

    def tried():
        with store.read() as session:
            return session.get(RevisionRow, revision).state != "queued"

    wait_for(tried, process, log)
    store.close()
