"""A heartbeat does not start for a batch that ends soon."""

import os
import threading

from sqsw.worker.late_start import LateStarts, late_starts
from tests.backends import wait_until


def test_a_cancelled_start_does_not_happen_and_others_do() -> None:
    starts = LateStarts()
    started: list[str] = []
    starts.add("quick", lambda: started.append("quick"))
    starts.add("slow", lambda: started.append("slow"))
    starts.cancel("quick")
    wait_until(lambda: bool(started), 5, "the late start")
    assert started == ["slow"]


def test_a_failed_start_is_retried() -> None:
    starts = LateStarts()
    tries: list[int] = []

    def start() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise RuntimeError("can't start new thread")

    starts.add("job", start)
    wait_until(lambda: len(tries) == 2, 5, "the second try")


def test_a_process_uses_one_thread() -> None:
    starts, before = LateStarts(), set(threading.enumerate())
    for number in range(5):
        starts.add(number, lambda: None)
        starts.cancel(number)
    assert [thread.name for thread in {*threading.enumerate()} - before] == ["sqsw-late-start"]


def test_a_child_process_has_its_own_thread() -> None:
    parent = late_starts()
    child = os.fork()
    if child == 0:
        os._exit(0 if late_starts() is not parent else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_an_idle_thread_ends_before_a_fork() -> None:
    starts, before = LateStarts(), set(threading.enumerate())
    starts.add("batch", lambda: None)
    starts.end_idle_thread()
    assert {*threading.enumerate()} - before, "it ended although a batch is waiting"
    starts.cancel("batch")
    starts.end_idle_thread()
    assert not {*threading.enumerate()} - before
    starts.add("next", lambda: None)
    assert {*threading.enumerate()} - before
    starts.cancel("next")
