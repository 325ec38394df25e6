"""Calls that wait are told from those that keep the process busy."""

import time

from sqsw.worker.latency import CALLS, NetworkLatency, now


def after(latency: NetworkLatency, *waited_seconds: float) -> bool:
    """Whether calls wait, after some that waited for so long."""
    for seconds in waited_seconds:
        latency.note(seconds)
    return latency.calls_wait


def test_calls_are_quick_until_several_have_waited() -> None:
    latency = NetworkLatency()
    assert not latency.calls_wait
    assert not after(latency, *[0.015] * (CALLS - 1))
    assert after(latency, 0.015)


def test_one_quick_call_shows_that_the_network_is() -> None:
    # The others have waited for the interpreter.
    assert not after(NetworkLatency(), *[0.03] * CALLS, 0.001)
    assert after(NetworkLatency(), *[0.03] * CALLS, 0.001, *[0.01] * CALLS)


def test_waiting_is_time_without_work() -> None:
    asleep, busy = NetworkLatency(), NetworkLatency()
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
