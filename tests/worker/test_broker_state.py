"""What is said of a broker that answers and takes no writes, or holds keys of a wrong type: on a real server."""

import json
import re

import pytest
import redis

from smear.files import shown
from worker.broker_state import SET_ASIDE, look_at_broker, repair_broker
from worker.queue import BrokerUnavailable, depth, publish, sender
from worker.watch.reconcile import LOST_SECONDS, RECONCILE_SECONDS, Reconciler


KEY_OF_LANE_3 = "wnet:slides\x06\x163"


@pytest.fixture
def app(settings):
    return sender(settings)


@pytest.fixture
def client(broker, settings):
    broker.start()
    made = redis.Redis(unix_socket_path=str(settings.broker_socket))
    yield made
    made.close()


def become_replica(client):
    client.replicaof("127.0.0.1", 1)  # of a server that is not there


def be_full(client):
    client.config_set("maxmemory", 1)


def want_replicas(client):
    client.config_set("min-replicas-to-write", 2)


def forbid(client):
    client.acl_setuser("default", enabled=True, nopass=True, reset=True, commands=["+@all", "-@write"], keys=["*"])


REFUSALS = [
    (become_replica, "READONLY|read only replica"),
    (be_full, "maxmemory"),
    (want_replicas, "(?i)not enough good replicas"),
    (forbid, "(?i)no permissions"),
]


def test_a_broker_that_takes_writes_has_nothing_said_of_it(client, app):
    state = look_at_broker(app)
    assert (state.answers, state.writes, state.problems) == (True, True, [])
    assert 0 < client.ttl("wnet:probe") <= 5


def test_a_broker_that_is_not_there_does_not_answer(app):
    state = look_at_broker(app)
    assert (state.answers, state.writes) == (False, False)
    assert state.problems == ["the broker does not answer; slides wait in the database"]


@pytest.mark.parametrize(("refuse", "word"), REFUSALS)
def test_a_broker_that_refuses_writes_is_said_to(client, app, worker, sqlite_store, refuse, word):
    refuse(client)
    state = look_at_broker(app)
    assert (state.answers, state.writes) == (True, False)
    with pytest.raises(BrokerUnavailable):
        publish(app, 7)
    done = worker("status", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["broker"]["answers"]) == (1, True)
    assert re.search(word, told["broker"]["refuses"])
    (said,) = [sentence for sentence in told["needs_attention"] if "broker" in sentence]
    assert said.startswith("the broker answers, refuses writes (")
    assert re.search(word, said)
    assert "refuses writes" in worker("status").stdout


def test_the_doctor_finds_a_broker_that_refuses_writes(client, worker, json_lines):
    become_replica(client)
    done = worker("doctor", "--json")
    (found,) = [one for one in json_lines(done.stdout) if one["name"] == "broker"]
    assert done.returncode == 1
    assert found["verdict"] == "bad"
    assert "answers, refuses writes" in found["found"]


@pytest.mark.parametrize("key", ["wnet:slides", KEY_OF_LANE_3, "wnet:unacked", "wnet:_kombu.binding.slides"])
def test_a_key_of_a_wrong_type_is_said_and_set_aside(client, app, worker, sqlite_store, key):
    client.set(key, "x")
    assert look_at_broker(app).wrong_type == (key,)
    done = worker("status", "--json")
    assert done.returncode == 1
    assert shown(key) in json.loads(done.stdout)["needs_attention"][0]
    assert repair_broker(app) == 1
    assert client.get(f"{key}{SET_ASIDE}") == b"x"
    assert look_at_broker(app).problems == []
    publish(app, 7)
    assert depth(app) == 1


def test_the_watcher_repairs_the_queue_and_publishes(client, app, sqlite_store, settings, queue_slide):
    revision = queue_slide(sqlite_store)
    client.set(KEY_OF_LANE_3, "x")
    reconciler = Reconciler(sqlite_store, settings, app)
    for now in range(4):
        reconciler.step(now * RECONCILE_SECONDS, settled=False)
    assert depth(app) == 1
    # And where it is spoilt after the message was accepted, which is lost with it.
    client.set(KEY_OF_LANE_3, "x")
    for now in range(4, 8 + int(LOST_SECONDS)):
        reconciler.step(now * RECONCILE_SECONDS, settled=False)
    assert depth(app) == 1
    assert str(revision).encode() in client.lindex(KEY_OF_LANE_3, 0)
