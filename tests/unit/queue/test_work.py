"""Queues as a worker sees them."""

from typing import NamedTuple

import pytest

from sqsw.backoff_policies import ConstantBackoff, Delays
from sqsw.batching import BatchMessages
from sqsw.core.errors import SettingsError
from sqsw.core.events import JobFailed, QueueWarning, RequestSent, RetriesPlanned
from sqsw.core.retry_horizon import RetryHorizon
from sqsw.core.settings import QueueShare, WorkerSettings
from sqsw.memory_sqs import MemorySession
from sqsw.queue.work import lane_of, work_queues
from sqsw.shutdown_policies import ASAP_SHUTDOWN
from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage.create import create_queue, create_standard_queue


def test_group_slots_are_refused_on_a_fifo_queue(memory_env: SQSEnv) -> None:
    memory_env.sqs_client.create_queue(QueueName="a.fifo", Attributes={"FifoQueue": "true"})
    with pytest.raises(SettingsError, match="cannot have group_slots"):
        work_queues(
            [memory_env.job_queue("a.fifo")],
            settings=WorkerSettings(),
            events=memory_env.events,
            shares=[QueueShare("a.fifo", group_slots=2)],
            policy_of=lambda _: ASAP_SHUTDOWN,
        )


def test_the_batching_policy_sets_how_long_a_list_waits(memory_env: SQSEnv) -> None:
    class Own:
        batching_enabled = True
        batch_size = 5

    for name, policy, seconds in (("a", BatchMessages(5, max_wait=2), 2), ("b", Own(), 0)):
        memory_env.sqs_client.create_queue(QueueName=name)
        queue = memory_env.queue(name, batching_policy=policy)
        assert lane_of(queue, WorkerSettings(), ASAP_SHUTDOWN).max_wait_seconds == seconds


def test_a_failure_on_the_last_receive_names_the_dead_letter_queue(memory_env: SQSEnv) -> None:
    memory_env.connect_to(queue_prefix="dev_")
    memory_env.backoff_policy = ConstantBackoff(0)
    heard: list[JobFailed] = []
    memory_env.events.subscribe(heard.append, JobFailed)
    create_standard_queue(memory_env, "dead")
    create_standard_queue(memory_env, "jobs", redrive_policy=memory_env.redrive_policy("dead", 2))
    memory_env.processor("jobs", "divide")(lambda by: 1 / by)
    memory_env.add_job("jobs", "divide", by=0)
    for _ in range(2):
        memory_env.process_batch("jobs")
    assert [event.dead_letter_queue for event in heard] == [None, "dead"]


class Started(NamedTuple):
    """The events about retries at the start of a worker."""

    planned: list[RetriesPlanned]
    warnings: list[QueueWarning]


def started(env: SQSEnv, queue_name: str, max_receives: int | None) -> Started:
    dead = f"dead{'.fifo' if queue_name.endswith('.fifo') else ''}"
    create_queue(env, queue_name, dead_letter_queue=dead, max_receives=max_receives)
    told, requests = Started([], []), list[str]()
    env.events.subscribe(told.planned.append, RetriesPlanned)
    env.events.subscribe(told.warnings.append, QueueWarning)
    env.events.subscribe(lambda event: requests.append(event.action), RequestSent)
    env.queue(queue_name).process_queue(ASAP_SHUTDOWN)
    assert requests.count("GetQueueAttributes") == 1
    assert {*requests} <= {"GetQueueUrl", "GetQueueAttributes", "ReceiveMessage"}
    return told


def test_a_start_reports_how_long_jobs_are_retried() -> None:
    env = SQSEnv(MemorySession(), queue_prefix="dev_")
    told = started(env, "jobs", None)
    assert told.planned == [RetriesPlanned("jobs", RetryHorizon(12, 2047), "dead")]
    assert told.warnings == []


@pytest.mark.parametrize(
    ("queue_name", "max_receives", "backoff", "reasons"),
    [
        ("jobs", 9, 9 * [300], []),
        ("jobs", 2, [300], []),
        ("jobs", 2, [299], ["few_receives"]),
        ("jobs", 9, [27], ["short_backoff"]),
        ("jobs", 9, [28], ["few_receives"]),
        ("jobs", 12, [27], ["short_backoff"]),
        ("jobs", 20, [15], ["short_backoff"]),
        ("jobs", 1, [300], ["few_receives"]),
        ("jobs.fifo", 10, [300], []),
        ("jobs.fifo", 9, [300], ["few_receives"]),
        ("jobs.fifo", 5, [60], ["few_receives"]),
        ("jobs.fifo", 5, [0], ["few_receives", "short_backoff"]),
        ("jobs.fifo", 10, [30], ["few_receives"]),
    ],
)
def test_a_start_warns_if_jobs_are_given_up_early(
    queue_name: str, max_receives: int, backoff: list[int], reasons: list[str]
) -> None:
    env = SQSEnv(MemorySession(), backoff_policy=Delays(*backoff))
    told = started(env, queue_name, max_receives)
    assert [warning.reason for warning in told.warnings] == reasons
    for warning in told.warnings:
        assert f"{queue_name!r}" in warning.text
        assert warning.dead_letter_queue == told.planned[0].dead_letter_queue


@pytest.mark.parametrize("seconds", [-1, 301, float("nan")])
def test_the_wait_of_a_list_is_limited(seconds: float) -> None:
    with pytest.raises(SettingsError, match="max_wait"):
        BatchMessages(5, max_wait=seconds)
