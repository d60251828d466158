"""The loop outlives whatever goes wrong in a step."""

import threading

import pytest

from smear.store import StoreUnavailable
from worker.watch import loop


class FakeWatch:
    def __init__(self, settled=False):
        self.settled, self.adopted, self.steps = settled, 0, []
        self.active, self.busy = True, False

    def step(self, now):
        self.steps.append(now)
        return self.settled

    def adopt(self, now):
        self.adopted += 1


class FakeReconciler:
    def __init__(self, answers):
        self.answers, self.told, self.forgotten = list(answers), [], 0

    def forget_silence(self):
        self.forgotten += 1

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

    reconciler = FakeReconciler([error, False, error, error, False, False])
    loop.watch([watch], reconciler, stop, ticking)
    assert watch.steps == [1001, 1002, 1003, 1004, 1005, 1006]
    # While the database is away no heartbeat can be written, so silence says nothing of a worker.
    assert reconciler.forgotten == (3 if isinstance(error, StoreUnavailable) else 0)


def test_a_loop_that_is_told_to_stop_does_not_begin(clock):
    stop = threading.Event()
    stop.set()
    watch = FakeWatch()
    loop.watch([watch], FakeReconciler([]), stop, clock)
    assert watch.steps == []


def test_whoever_is_active_over_no_source_leaves_queue_and_database_alone():
    watches, reconciler = [FakeWatch(), FakeWatch()], FakeReconciler([True])
    for watch in watches:
        watch.active = False
    loop.step(watches, reconciler, 5.0)
    assert reconciler.told == []
    watches[1].active = True
    loop.step(watches, reconciler, 6.0)
    assert reconciler.told == [False]


def test_a_watch_that_has_more_to_do_is_not_kept_resting(monkeypatch, clock):
    monkeypatch.setattr(loop, "TICK_SECONDS", 3600)  # a rest would outlast the test
    stop, watch = threading.Event(), FakeWatch()
    watch.busy = True

    def ticking():
        if len(watch.steps) == 50:
            stop.set()
        return clock.pass_(1)

    loop.watch([watch], FakeReconciler([False] * 60), stop, ticking)
    assert len(watch.steps) == 51


def test_a_watcher_ends_where_another_database_lies_in_the_place_of_the_one_it_knows(
    settings, sqlite_store, tmp_path, migrated_sqlite, monkeypatch
):
    import shutil
    import signal
    import threading

    from sqlmodel import select

    from smear.tables import SourceRow
    from worker.watch import command, source

    monkeypatch.setattr(signal, "signal", lambda *_: None)  # not the main thread's here
    active = threading.Event()
    real = source.SourceWatch.step

    def step(self, now):
        settled = real(self, now)
        if self.active:
            active.set()
        return settled

    monkeypatch.setattr(source.SourceWatch, "step", step)
    watcher = threading.Thread(target=command.watch, args=(settings, print), daemon=True)
    watcher.start()
    assert active.wait(60)
    shutil.copyfile(migrated_sqlite, tmp_path / "other.sqlite")
    (tmp_path / "other.sqlite").replace(sqlite_store.file)
    watcher.join(60)
    assert not watcher.is_alive()
    with sqlite_store.read() as session:
        assert session.exec(select(SourceRow)).all() == []  # nothing was written under a number of the other one
