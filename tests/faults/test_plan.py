"""A ticket is used once, a mode holds until it is ended, a wrapper without either changes nothing."""

import errno
import subprocess
import sys
import threading

import pytest
from faults import steps
from faults.ground_truth import PROJECT
from faults.plan import Plan


@pytest.fixture
def plan(tmp_path):
    return Plan(tmp_path / "plan")


def test_a_ticket_is_taken_once_whoever_asks(plan):
    plan.give("kill", "decoded", times=20)
    plan.give("stop", "claimed")
    taken = []
    threads = [threading.Thread(target=lambda: taken.extend(plan.take("decoded") for _ in range(10))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert taken.count("kill") == 20
    assert len(plan.notes(what="kill")) == 20
    assert (plan.waiting("decoded"), plan.waiting()) == (0, 1)


def test_withdrawn_means_nothing_is_left_of_it(plan):
    plan.give("kill", "decoded")
    plan.switch("thrice")
    plan.plant("ab", "segv")
    assert (plan.mode("thrice"), plan.manner_of("ab"), plan.manner_of("cd")) == ("on", "segv", None)
    plan.withdraw()
    assert (plan.take("decoded"), plan.mode("thrice"), plan.manner_of("ab")) == (None, None, None)


def test_a_wrapped_function_fails_as_the_ticket_says_and_then_no_more(plan):
    wrapped = steps._first(plan, "read", lambda name: name.upper())
    plan.give("ESTALE", "read")
    with pytest.raises(OSError, match=r"[Ss]tale") as raised:
        wrapped("a")
    assert raised.value.errno == errno.ESTALE
    assert wrapped("a") == "A"


def test_a_claim_that_was_not_to_be_had_uses_no_ticket(plan):
    plan.give("EIO", "claimed")
    assert steps._then(plan, "claimed", lambda: None)() is None
    assert plan.waiting() == 1


def test_every_step_is_a_function_of_the_product():
    for name in [*steps.KILL_STEPS.values(), *steps.WORKER_READS.values(), *steps.WATCHER_READS.values()]:
        seen: list[object] = []

        def see(function, seen=seen):
            seen.append(function)
            return function

        steps.wrap(name, see)
        assert callable(seen[0]), name


@pytest.mark.parametrize(("manner", "ended"), [("segv", -11), ("abort", -6), ("oom", -9), ("exit", 3)])
def test_killers_end_a_process_in_their_manner(manner, ended):
    code = f"import sys; sys.path.append('tests'); from faults.steps import die; die({manner!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=False, capture_output=True)
    assert done.returncode == ended
