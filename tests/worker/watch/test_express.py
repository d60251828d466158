"""Slides that come one by one overtake a backlog; a burst does not overtake itself."""

from worker.watch.express import CAPACITY, REFILL_SECONDS, Express


def test_a_slide_that_comes_by_itself_goes_first_whenever_it_comes():
    express = Express()
    assert all(express.take(100.0 + 120 * n) for n in range(50))


def test_of_a_burst_a_few_go_first_and_later_again_one_every_while():
    express = Express()
    assert sum(express.take(100.0) for _ in range(500)) == CAPACITY
    assert not express.take(100.0 + REFILL_SECONDS / 2)
    assert express.take(100.0 + REFILL_SECONDS)
    assert sum(express.take(102.0 + n / 10) for n in range(200)) <= 20 / REFILL_SECONDS + 1
