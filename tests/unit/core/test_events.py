"""The bus: what happened, told to whoever listens."""

import logging

import pytest

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

STARTED = WorkerStarted(("emails",), 1)
WARNING = QueueWarning("emails", "text", "hint")


def test_a_listener_hears_the_kinds_it_asked_for_and_their_children() -> None:
    bus = EventBus()
    all_of_them: list[Event] = []
    some: list[Event] = []
    bus.subscribe(all_of_them.append)
    bus.subscribe(some.append, QueueWarning, JobEnded)
    bus.publish(STARTED)
    bus.publish(WARNING)
    assert all_of_them == [STARTED, WARNING]
    assert some == [WARNING]


def test_a_listener_that_raises_is_logged_once_and_stops_nobody(
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


def test_a_listener_that_wants_to_exit_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    bus = EventBus()
    heard: list[Event] = []

    def exiting(event: Event) -> None:
        raise SystemExit("of a listener")

    bus.subscribe(exiting)
    bus.subscribe(heard.append)
    bus.publish(STARTED)
    assert heard == [STARTED]
    assert "of a listener" in caplog.text


def test_ctrl_c_in_a_listener_goes_up() -> None:
    bus = EventBus()

    def interrupted(event: Event) -> None:
        raise KeyboardInterrupt

    bus.subscribe(interrupted)
    with pytest.raises(KeyboardInterrupt):
        bus.publish(STARTED)


def test_a_listener_may_subscribe_another_while_it_hears() -> None:
    bus = EventBus()
    late: list[Event] = []
    bus.subscribe(lambda event: bus.subscribe(late.append))
    bus.publish(STARTED)
    assert late == []
    bus.publish(WARNING)
    assert WARNING in late


def test_a_batch_tells_the_bus_of_its_environment_what_it_did(jobs: JobQueue) -> None:
    heard: list[Event] = []
    jobs.env.events.subscribe(heard.append, MessageReceived, JobStarted, JobDone)
    jobs.connect_processor("hello", lambda: None)
    jobs.add_job("hello")
    jobs.process_batch()
    assert [type(event) for event in heard] == [MessageReceived, JobStarted, JobDone]


def test_a_kind_is_wanted_once_somebody_listens() -> None:
    bus = EventBus()
    bus.subscribe(lambda _: None, QueueWarning)
    assert bus.wants(QueueWarning)
    assert not bus.wants(JobDone)
    bus.subscribe(lambda _: None, JobEnded)  # later, and to its parent
    assert bus.wants(JobDone)
    assert not bus.wants(JobStarted)
