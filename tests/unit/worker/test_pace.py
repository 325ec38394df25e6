"""Calls that wait are told from those that keep the process busy."""

import time

from sqsw.worker.pace import CALLS, Pace, now


def after(pace: Pace, *waited_seconds: float) -> bool:
    """Whether calls wait, after some that waited for so long."""
    for seconds in waited_seconds:
        pace.note(seconds)
    return pace.calls_wait


def test_calls_are_quick_until_several_have_waited() -> None:
    pace = Pace()
    assert not pace.calls_wait
    assert not after(pace, *[0.015] * (CALLS - 1))
    assert after(pace, 0.015)


def test_one_quick_call_shows_that_the_network_is() -> None:
    # The others have waited for the interpreter.
    assert not after(Pace(), *[0.03] * CALLS, 0.001)
    assert after(Pace(), *[0.03] * CALLS, 0.001, *[0.01] * CALLS)


def test_waiting_is_time_without_work() -> None:
    asleep, busy = Pace(), Pace()
    for _ in range(CALLS):
        begin = now()
        time.sleep(0.005)
        asleep.note_since(begin)
        end = time.thread_time() + 0.001
        begin = now()
        while time.thread_time() < end:
            pass
        busy.note_since(begin)
    assert asleep.calls_wait
    assert min(busy._waited) < min(asleep._waited)
