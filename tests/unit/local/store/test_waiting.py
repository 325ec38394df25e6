"""Which receives are woken, and in which order."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from sqsw.local.engine import LocalEngine
from sqsw.local.store.clock import MovableClock
from sqsw.local.store.waiting import Waiters, Wake, wait_for
from tests.unit.local.manual import Calls


class Line:
    """The waiters of one queue, and the names of those that were woken."""

    def __init__(self, *names: str) -> None:
        self.waiters = Waiters()
        self.woken: list[str] = []
        self.all = {name: self.waiters.join(1, self._note(name)) for name in names}

    def _note(self, name: str) -> Callable[[], None]:
        return lambda: self.woken.append(name)


def test_each_message_wakes_one_receive_in_order() -> None:
    line = Line("a", "b", "c")
    line.waiters.announce([Wake(1, 2)])
    assert line.woken == ["a", "b"]
    line.waiters.announce([Wake(1, 1)])
    assert line.woken == ["a", "b", "c"]


def test_receives_of_other_queues_are_not_woken() -> None:
    line = Line("a")
    line.waiters.announce([Wake(2, 1)])
    assert line.woken == []


def test_a_receive_that_leaves_wakes_the_next_one() -> None:
    line = Line("a", "b")
    line.waiters.leave(line.all["a"])
    assert line.woken == ["b"]
    assert line.waiters.is_first(line.all["b"])


def test_ending_polls_wakes_all_receives() -> None:
    line = Line("a", "b")
    line.waiters.end_all()
    assert line.woken == ["a", "b"]
    assert all(waiter.is_ended for waiter in line.all.values())


def test_a_forked_child_has_no_waiting_receives() -> None:
    line = Line("a")
    with line.waiters.hold():
        pass
    line.waiters.forget()
    line.waiters.announce([Wake(1, 1)])
    assert line.woken == []


def receive_in_thread(engine: LocalEngine, answers: list[Any], **options: Any) -> threading.Thread:
    def run() -> None:
        params = {"QueueUrl": "q", "WaitTimeSeconds": 20} | options
        answers.append(engine.handle("ReceiveMessage", params))

    before = waiting_on(engine)
    thread = threading.Thread(target=run)
    thread.start()
    until = time.monotonic() + 5
    while waiting_on(engine) == before and time.monotonic() < until:
        time.sleep(0.005)
    return thread


def waiting_on(engine: LocalEngine) -> int:
    return sum(map(len, engine.store.waiters._lines.values()))


def test_moving_the_clock_wakes_a_receive_that_waits_for_a_deadline() -> None:
    clock, answers = MovableClock(), list[Any]()
    engine = LocalEngine(None, clock=clock)
    engine.handle("CreateQueue", {"QueueName": "q"})
    engine.handle("SendMessage", {"QueueUrl": "q", "MessageBody": "later", "DelaySeconds": 15})
    thread = receive_in_thread(engine, answers)
    clock.advance(seconds=15)
    thread.join(5)
    assert answers[0]["Messages"][0]["Body"] == "later"
    engine.close()


def test_moving_the_clock_ends_a_wait() -> None:
    clock, answers = MovableClock(), list[Any]()
    engine = LocalEngine(None, clock=clock)
    engine.handle("CreateQueue", {"QueueName": "q"})
    threads = [receive_in_thread(engine, answers) for _ in range(3)]
    clock.advance(seconds=20)
    for thread in threads:
        thread.join(5)
    assert answers == [{}, {}, {}]
    engine.close()


def test_polls_end_at_once_and_later_ones_wait_again() -> None:
    answers = list[Any]()
    engine = LocalEngine(None)
    engine.handle("CreateQueue", {"QueueName": "q"})
    threads = [receive_in_thread(engine, answers) for _ in range(3)]
    engine.end_polls()
    for thread in threads:
        thread.join(5)
    assert answers == [{}, {}, {}]
    began = time.monotonic()
    engine.handle("ReceiveMessage", {"QueueUrl": "q", "WaitTimeSeconds": 1})
    assert time.monotonic() - began > 0.9
    engine.close()


def test_a_receive_ends_even_if_the_clock_is_stopped(sqs: Calls) -> None:
    url = sqs.make()
    sqs.send(url, "later", DelaySeconds=900)
    began = time.monotonic()
    assert sqs.receive(url, WaitTimeSeconds=1) == []
    assert 0.9 < time.monotonic() - began < 10


def test_a_closed_engine_ends_its_receives() -> None:
    answers = list[Any]()
    engine = LocalEngine(None)
    engine.handle("CreateQueue", {"QueueName": "q"})
    thread = receive_in_thread(engine, answers)
    engine.close()
    thread.join(5)
    assert answers == [{}]


def test_polls_ended_between_two_checks_end(monkeypatch: pytest.MonkeyPatch) -> None:
    waiters = Waiters()

    class Late(threading.Event):
        """End the polls after the receive has checked whether they are ended."""

        def clear(self) -> None:
            waiters.end_all()
            super().clear()

    class Nothing:
        queue_id, wait_seconds = 1, 5

        def look(self) -> None:
            pytest.fail("the receive continues")

        def seconds_to_deadline(self) -> None:
            pytest.fail("the receive continues")

    monkeypatch.setattr(threading, "Event", Late)
    assert wait_for(Nothing(), waiters, time.time) == {}
