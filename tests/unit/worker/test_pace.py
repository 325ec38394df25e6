"""Calls that wait are told from those that keep the process busy."""

import time

from sqsw.worker.pace import Pace


def test_calls_are_quick_until_they_are_seen_to_wait() -> None:
    assert not Pace().calls_wait


def after(pace: Pace, waited_seconds: float) -> bool:
    """Whether calls wait, after five like this."""
    for _ in range(5):
        pace.note(waited_seconds)
    return pace.calls_wait


def test_it_takes_a_few_calls_to_change_its_mind() -> None:
    pace = Pace()
    pace.note(0.015)
    assert not pace.calls_wait
    assert after(pace, 0.015)
    assert not after(pace, 0.001)


def test_waiting_is_time_without_work() -> None:
    asleep, busy = Pace(), Pace()
    with asleep.measured():
        time.sleep(0.1)
    end = time.thread_time() + 0.1
    with busy.measured():
        while time.thread_time() < end:
            pass
    assert asleep.calls_wait
    assert busy._waited < asleep._waited + 1  # a machine that is full may take its time
