import json

import pytest

from smear.celery_settings import celery_settings


@pytest.fixture
def told(make_settings):
    return celery_settings(make_settings())


def test_they_are_plain_data(told):
    assert json.loads(json.dumps(told)) == told


def test_only_json_is_accepted_and_nothing_is_kept(told):
    assert told["accept_content"] == [told["task_serializer"]] == ["json"]
    assert told["result_backend"] is None
    assert told["task_ignore_result"]


def test_a_message_outlives_its_worker_and_is_taken_one_at_a_time(told):
    assert told["task_acks_late"]
    assert told["task_reject_on_worker_lost"]
    assert told["worker_prefetch_multiplier"] == 1
    assert told["worker_disable_prefetch"]
    assert told["broker_connection_max_retries"] is None


def test_the_leases_decide_before_the_broker_does(make_settings):
    settings = make_settings()
    assert settings.stall_seconds < celery_settings(settings)["broker_transport_options"]["visibility_timeout"] / 3


def test_the_broker_is_the_embedded_one_unless_a_url_is_given(make_settings):
    settings = make_settings()
    assert celery_settings(settings)["broker_url"] == f"redis+socket://{settings.broker_socket}"
    assert celery_settings(make_settings(broker_url="redis://host/3"))["broker_url"] == "redis://host/3"
