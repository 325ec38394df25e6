"""Prometheus metrics."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from sqsw.core.events import (
    Event,
    JobDone,
    JobDropped,
    JobEvent,
    JobFailed,
    JobParked,
    JobRetry,
    JobStarted,
    ParkedFailed,
    ParkedSent,
    TickMissed,
    TickSent,
    TickSkipped,
)
from sqsw.core.job_metadata import JobMetadata
from sqsw.core.results import ProcessingResult
from sqsw.observe.health import Health
from sqsw.observe.metrics import Metrics
from sqsw.queue.job_queue import JobQueue
from sqsw.sqs_env import SQSEnv
from tests.unit.worker.doubles import message


@pytest.fixture
def metrics(memory_env: SQSEnv) -> Iterator[Metrics]:
    metrics = Metrics(Health())
    metrics.subscribe_to(memory_env.events)
    yield metrics


def labels(metrics: Metrics) -> set[str]:
    return set(re.findall(r'job="([^"]*)"', metrics.text().decode()))


class TakesAll(JobQueue):
    """A queue that runs jobs without a processor, like queues that forward jobs."""

    def process_message_fallback(self, job_name: str) -> ProcessingResult:
        return ProcessingResult(not job_name.endswith("3"))


@pytest.mark.parametrize("queue_class", [JobQueue, TakesAll])
def test_names_invented_by_senders_are_not_labels(
    memory_env: SQSEnv, metrics: Metrics, queue_class: type[JobQueue]
) -> None:
    memory_env.sqs_client.create_queue(QueueName="jobs")
    queue = memory_env.queue("jobs", queue_class)
    queue.connect_processor("known", lambda: None)
    for name in ("known", *(f"made-up-{number}" for number in range(9))):
        queue.add_job(name)
    queue.process_batch()
    assert labels(metrics) == {"known", ""}
    text = metrics.text().decode()
    assert 'sqsw_job_wait_seconds_count{job="known",queue="jobs"} 1.0' in text
    assert 'sqsw_job_wait_seconds_count{job="",queue="jobs"} 9.0' in text


def test_parked_jobs_are_counted(memory_env: SQSEnv, metrics: Metrics) -> None:
    for number in range(3):
        due = datetime(2030, 1, 1, tzinfo=UTC)
        memory_env.events.publish(ParkedSent("emails", str(number), due, 1.0))
    memory_env.events.publish(ParkedFailed("made-up", "no queue", 15))
    text = metrics.text().decode()
    assert 'sqsw_parked_jobs_sent_total{queue="emails"} 3.0' in text
    assert "sqsw_parked_failures_total 1.0" in text


def test_events_say_whether_the_job_is_registered(memory_env: SQSEnv) -> None:
    heard: list[Event] = []
    memory_env.sqs_client.create_queue(QueueName="jobs")
    memory_env.events.subscribe(heard.append, JobEvent)
    queue = memory_env.queue("jobs", TakesAll)
    queue.connect_processor("known", lambda: 1 / 0)
    for name in ("known", "made-up-1", "made-up-3"):
        queue.add_job(name)
    queue.process_batch()
    found = [
        (type(event).__name__, event.job_name, event.is_registered)
        for event in heard
        if isinstance(event, JobEvent)
    ]
    assert sorted(found) == sorted(
        [
            ("JobStarted", "known", True),
            ("JobFailed", "known", True),
            ("JobStarted", "made-up-1", False),
            ("JobDone", "made-up-1", False),
            ("JobStarted", "made-up-3", False),
            ("JobRetry", "made-up-3", False),
        ]
    )


@pytest.mark.parametrize("kind", [JobStarted, JobDone, JobFailed, JobRetry, JobDropped])
def test_unregistered_names_are_never_labels(metrics: Metrics, kind: type[JobEvent]) -> None:
    arguments = {JobStarted: (), JobFailed: (1.0, ValueError(), 0.0), JobRetry: (1.0, 0.0)}
    sent = message()
    sent.attributes["SentTimestamp"] = "1"  # type: ignore[index]  # it is a dictionary
    metrics(kind(sent, "made-up", *arguments.get(kind, (1.0,)), is_registered=False))
    assert labels(metrics) == {""}


def test_ticks_are_counted_by_schedule_and_outcome(memory_env: SQSEnv, metrics: Metrics) -> None:
    at = datetime(2026, 7, 1, tzinfo=UTC)
    tick = message(
        message_attributes={"Sqsw": JobMetadata("1", schedule="a", at="x").to_attribute()}
    )
    for event in (
        TickSent("a", "cron.fifo", at),
        TickMissed("a", "cron.fifo", at, at, 3, "late"),
        TickMissed("a", "cron.fifo", at, at, 1, "failed"),
        TickMissed("a", "cron.fifo", at, at, 1, "started"),
        TickSkipped(tick),
    ):
        memory_env.events.publish(event)
    text = metrics.text().decode()
    counted = re.findall(r'sqsw_ticks_total{outcome="(.*)",schedule="a"} (.*)', text)
    assert dict(counted) == {"sent": "1.0", "missed": "4.0", "skipped": "1.0"}


def test_jobs_that_a_worker_parks_are_counted(metrics: Metrics) -> None:
    due = datetime(2030, 1, 4, tzinfo=UTC)
    metrics(JobParked(message("a"), "ship", due))
    metrics(JobParked(message("b"), "made-up", due, is_registered=False))
    text = metrics.text().decode()
    assert 'sqsw_jobs_parked_total{job="ship",queue="emails"} 1.0' in text
    assert 'sqsw_jobs_parked_total{job="",queue="emails"} 1.0' in text
