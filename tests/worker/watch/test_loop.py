"""The loop outlives whatever goes wrong in a step."""

import threading

import pytest

from smear.store import StoreUnavailable
from worker.watch import loop


class FakeWatch:
    def __init__(self, settled=False):
        self.settled, self.adopted, self.steps = settled, 0, []

    def step(self, now):
        self.steps.append(now)
        return self.settled

    def adopt(self, now):
        self.adopted += 1


class FakeReconciler:
    def __init__(self, answers):
        self.answers, self.told = list(answers), []

    def step(self, now, *, settled):
        self.told.append(settled)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_step_looks_at_every_source_and_tells_the_reconciler():
    watches, reconciler = [FakeWatch(), FakeWatch(settled=True), FakeWatch()], FakeReconciler([False, True])
    loop.step(watches, reconciler, 5.0)
    assert [watch.steps for watch in watches] == [[5.0]] * 3
    assert [watch.adopted for watch in watches] == [0, 0, 0]
    loop.step(watches, reconciler, 6.0)
    assert [watch.adopted for watch in watches] == [1, 1, 1]
    assert reconciler.told == [True, True]


@pytest.mark.parametrize("error", [StoreUnavailable("locked"), OSError("disk"), RuntimeError("a bug of ours")])
def test_nothing_that_goes_wrong_in_a_step_ends_the_loop(monkeypatch, clock, error):
    monkeypatch.setattr(loop, "TICK_SECONDS", 0)
    monkeypatch.setattr(loop, "REST_SECONDS", 0)
    stop, watch = threading.Event(), FakeWatch()

    def ticking():
        if len(watch.steps) == 5:
            stop.set()
        return clock.pass_(1)

    loop.watch([watch], FakeReconciler([error, False, error, error, False, False]), stop, ticking)
    assert watch.steps == [1001, 1002, 1003, 1004, 1005, 1006]


def test_a_loop_that_is_told_to_stop_does_not_begin(clock):
    stop = threading.Event()
    stop.set()
    watch = FakeWatch()
    loop.watch([watch], FakeReconciler([]), stop, clock)
    assert watch.steps == []
