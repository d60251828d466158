from worker.consuming import Hearing


def test_a_worker_that_takes_nothing_while_messages_wait_is_deaf_after_a_while():
    hearing = Hearing(8, 100)
    assert [hearing.step(3, 0, now) for now in (100, 104, 107.9, 108, 110)] == [False, False, False, True, True]


def test_an_empty_queue_a_broker_that_is_away_or_work_in_hand_is_no_deafness():
    for waiting, in_hand in ((0, 0), (None, 0), (5, 1)):
        hearing = Hearing(8, 100)
        assert not any(hearing.step(waiting, in_hand, 100 + n) for n in range(100))
        assert not hearing.step(5, 0, 206)
        assert hearing.step(5, 0, 207)


def test_a_message_taken_between_two_looks_is_a_sign_of_hearing():
    hearing = Hearing(8, 100)
    assert not hearing.step(5, 0, 107)
    hearing.heard(107.5)
    assert not hearing.step(5, 0, 115)
    assert hearing.step(5, 0, 115.5)
