"""How the worker distinguishes calls that wait for the network from calls that use the CPU."""

import time

from sqsw.worker.latency import CALLS, NetworkLatency, now


def after(latency: NetworkLatency, *waited_seconds: float) -> bool:
    """Return whether calls wait, after calls with these waiting times."""
    for seconds in waited_seconds:
        latency.note(seconds)
    return latency.calls_wait


def test_calls_count_as_quick_until_several_have_waited() -> None:
    latency = NetworkLatency()
    assert not latency.calls_wait
    assert not after(latency, *[0.015] * (CALLS - 1))
    assert after(latency, 0.015)


def test_one_quick_call_shows_that_the_network_is_quick() -> None:
    # The slow calls waited for the interpreter lock.
    assert not after(NetworkLatency(), *[0.03] * CALLS, 0.001)
    assert after(NetworkLatency(), *[0.03] * CALLS, 0.001, *[0.01] * CALLS)


def test_waiting_is_time_without_cpu_work() -> None:
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
