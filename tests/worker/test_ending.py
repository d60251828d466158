"""How a process ended, told by real processes that end in every way."""

import os
import signal

import pytest

from worker import ending
from worker.ending import of_status, out_of_memory_kills, process_name


def status_of(end):
    """The wait status of a child that ends like this."""
    child = os.fork()
    if child == 0:
        try:
            end()
        finally:
            os._exit(99)
    return os.waitpid(child, 0)[1]


def by(number):
    def end():
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    return end


@pytest.fixture(autouse=True)
def _no_core_files():
    import resource

    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE])
def test_a_crash_is_the_process_own_doing(number):
    ended = of_status(status_of(by(number)), out_of_memory=False)
    assert (ended.words, ended.own) == (f"was ended by {number.name}", True)


def test_leaving_by_a_back_door_is_the_process_own_doing():
    ended = of_status(status_of(lambda: os._exit(3)), out_of_memory=False)
    assert (ended.words, ended.own) == ("ended with exit code 3", True)


def test_a_process_that_was_told_to_stop_has_done_nothing():
    assert not of_status(status_of(lambda: os._exit(0)), out_of_memory=True).own


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_what_people_and_shutdowns_send_comes_from_outside(number):
    end = by(number) if number != signal.SIGKILL else lambda: os.kill(os.getpid(), number)
    ended = of_status(status_of(end), out_of_memory=False)
    assert (ended.words, ended.own) == (f"was ended by {number.name}", False)


def test_a_kill_while_memory_ran_out_is_the_kernels():
    ended = of_status(signal.SIGKILL, out_of_memory=True)
    assert (ended.words, ended.own) == ("ran out of memory", True)
    assert not of_status(signal.SIGTERM, out_of_memory=True).own


def test_the_kernels_count_is_read_and_is_zero_where_it_does_not_say(monkeypatch, tmp_path):
    assert out_of_memory_kills() >= 0
    told = tmp_path / "vmstat"
    monkeypatch.setattr(ending, "_VMSTAT", told)
    assert out_of_memory_kills() == 0
    told.write_text("nr_free_pages 9\noom_kill 7\n")
    assert out_of_memory_kills() == 7


def test_two_hosts_of_the_same_name_have_processes_of_different_names(monkeypatch, tmp_path):
    here = process_name(17)
    assert here.endswith(":17")
    assert len(here) <= 128  # as the column holds it
    assert process_name(17) == here
    ending._place.cache_clear()
    other = tmp_path / "boot_id"
    other.write_text("another boot")
    monkeypatch.setattr(ending, "_BOOT", other)
    assert process_name(17) != here
    ending._place.cache_clear()
