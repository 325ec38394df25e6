"""The event bus."""

import logging
import threading
from contextvars import ContextVar

import pytest

from sqsw.core.delivery import handing_over
from sqsw.core.events import (
    Event,
    EventBus,
    JobDone,
    JobEnded,
    JobStarted,
    MessageReceived,
    QueueWarning,
    WorkerStarted,
)
from sqsw.queue.job_queue import JobQueue
from tests.backends import wait_until

STARTED = WorkerStarted(("emails",), 1)
WARNING = QueueWarning("emails", "text", "hint")


def test_a_listener_gets_the_kinds_it_subscribed_to_and_their_subclasses() -> None:
    bus = EventBus()
    all_of_them: list[Event] = []
    some: list[Event] = []
    bus.subscribe(all_of_them.append)
    bus.subscribe(some.append, QueueWarning, JobEnded)
    bus.publish(STARTED)
    bus.publish(WARNING)
    assert all_of_them == [STARTED, WARNING]
    assert some == [WARNING]


def test_a_listener_that_raises_is_logged_once_and_does_not_stop_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bus = EventBus()
    heard: list[Event] = []

    def broken(event: Event) -> None:
        raise RuntimeError("broken listener")

    bus.subscribe(broken)
    bus.subscribe(heard.append)
    bus.publish(STARTED)
    bus.publish(STARTED)
    assert heard == [STARTED, STARTED]
    assert "RuntimeError: broken listener" in caplog.text
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_a_failure_is_logged_once_for_each_listener_and_kind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bus = EventBus()
    heard: list[Event] = []

    def broken(event: Event) -> None:
        heard.append(event)
        raise RuntimeError("broken listener")

    def broken_too(event: Event) -> None:
        raise RuntimeError("broken listener")

    bus.subscribe(broken)
    bus.subscribe(broken_too, QueueWarning)
    for event in (STARTED, WARNING, STARTED, WARNING):
        bus.publish(event)
    assert heard == [STARTED, WARNING, STARTED, WARNING]  # the listener can have recovered
    named = [
        (".broken_too " in r.getMessage(), "QueueWarning" in r.getMessage()) for r in caplog.records
    ]
    assert named == [(False, False), (False, True), (True, True)]


def test_while_a_worker_runs_each_listener_has_its_own_thread() -> None:
    bus = EventBus()
    goes_on = threading.Event()
    heard: list[tuple[Event, int | None]] = []
    quick: list[int] = []

    def hang(event: Event) -> None:
        goes_on.wait(60)

    bus.subscribe(hang)
    bus.subscribe(lambda event: heard.append((event, variable.get())))
    bus.subscribe(lambda _: quick.append(threading.get_ident()), quick=True)
    variable: ContextVar[int] = ContextVar("variable")
    with handing_over():
        for number in range(10):
            variable.set(number)
            bus.publish(WARNING)
        wait_until(lambda: len(heard) == 10)
        assert heard == [(WARNING, number) for number in range(10)]
        assert quick == [threading.get_ident()] * 10
        goes_on.set()


def test_a_listener_that_raises_system_exit_does_not_stop_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bus = EventBus()
    heard: list[Event] = []

    def exiting(event: Event) -> None:
        raise SystemExit("of a listener")

    bus.subscribe(exiting)
    bus.subscribe(heard.append)
    bus.publish(STARTED)
    assert heard == [STARTED]
    assert "of a listener" in caplog.text


def test_ctrl_c_in_a_listener_propagates() -> None:
    bus = EventBus()

    def interrupted(event: Event) -> None:
        raise KeyboardInterrupt

    bus.subscribe(interrupted)
    with pytest.raises(KeyboardInterrupt):
        bus.publish(STARTED)


def test_a_listener_can_subscribe_another_one_during_an_event() -> None:
    bus = EventBus()
    late: list[Event] = []
    bus.subscribe(lambda event: bus.subscribe(late.append))
    bus.publish(STARTED)
    assert late == []
    bus.publish(WARNING)
    assert WARNING in late


def test_a_batch_publishes_on_the_bus_of_its_environment(jobs: JobQueue) -> None:
    heard: list[Event] = []
    jobs.env.events.subscribe(heard.append, MessageReceived, JobStarted, JobDone)
    jobs.connect_processor("hello", lambda: None)
    jobs.add_job("hello")
    jobs.process_batch()
    assert [type(event) for event in heard] == [MessageReceived, JobStarted, JobDone]


def test_a_kind_is_wanted_if_it_has_a_listener() -> None:
    bus = EventBus()
    bus.subscribe(lambda _: None, QueueWarning)
    assert bus.wants(QueueWarning)
    assert not bus.wants(JobDone)
    bus.subscribe(lambda _: None, JobEnded)  # subscribed later, and to the parent class
    assert bus.wants(JobDone)
    assert not bus.wants(JobStarted)
