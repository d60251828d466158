"""The interface by its own description: whatever is sent, no answer is a fault of ours."""

import os

import pytest
from seeding import add_slide

from review.sessions import COOKIE


schemathesis = pytest.importorskip("schemathesis", reason="needs the package schemathesis")


def calls(app, client, name, examples):
    """Make so many calls as that person, spread over all operations; (calls made, those answered with a 5xx)."""
    from hypothesis import HealthCheck, Phase, given, settings

    somebody = client(name)
    headers = {"cookie": f"{COOKIE}={somebody.cookies[COOKIE]}", "host": "127.0.0.1"}
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, headers=headers)
    headers["x-csrf-token"] = somebody.csrf
    operations = [result.ok() for result in schema.get_all_operations()]
    made, faults = [0], []
    for operation in operations:
        if operation.path == "/sign-out":
            continue  # it would end the session that the others need

        @settings(
            max_examples=max(examples // len(operations), 2),
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def call(case):
            answer = case.call(headers=headers)
            made[0] += 1
            if answer.status_code >= 500:
                faults.append((case.method, case.formatted_path, answer.status_code, answer.text[:300]))

        call()
    return made[0], faults


@pytest.mark.parametrize("name", ["jonas", "ada"])
def test_no_call_ends_in_a_fault_of_ours(app, client, desk, slide, name):
    add_slide(desk.store, "S-BAD", cells=[], state="failed", reason="no pictures in its folder")
    made, faults = calls(app, client, name, int(os.environ.get("CALLS", "150")))
    assert faults == []
    assert made >= 40


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_two_thousand_calls_end_in_no_fault_of_ours(app, client, desk, slide):
    add_slide(desk.store, "S-BAD", cells=[], state="failed", reason="no pictures in its folder")
    total = 0
    for name in ("jonas", "ada"):
        made, faults = calls(app, client, name, 1500)
        assert faults == []
        total += made
    print(f"{total} calls")
    assert total >= 2000


def test_the_description_is_for_those_who_are_signed_in(client):
    assert client().get("/openapi.json").status_code == 401
    told = client("vera").get("/openapi.json").json()
    assert "/slides/{slide}/labels" in told["paths"]
