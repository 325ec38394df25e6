"""Queues as the worker sees them."""

import pytest

from sqsw.backoff_policies import ConstantBackoff
from sqsw.batching import BatchMessages
from sqsw.core.errors import SettingsError
from sqsw.core.events import JobFailed
from sqsw.core.settings import QueueShare, WorkerSettings
from sqsw.queue.work import lane_of, work_queues
from sqsw.shutdown_policies import ASAP_SHUTDOWN
from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage.create import create_standard_queue


def test_slots_of_a_group_are_refused_on_a_fifo_queue(memory_env: SQSEnv) -> None:
    memory_env.sqs_client.create_queue(QueueName="a.fifo", Attributes={"FifoQueue": "true"})
    with pytest.raises(SettingsError, match="have no meaning on"):
        work_queues(
            [memory_env.job_queue("a.fifo")],
            settings=WorkerSettings(),
            events=memory_env.events,
            shares=[QueueShare("a.fifo", group_slots=2)],
            policy_of=lambda _: ASAP_SHUTDOWN,
        )


def test_how_long_a_list_waits_is_said_by_its_batching_policy(memory_env: SQSEnv) -> None:
    class Own:
        batching_enabled = True
        batch_size = 5

    for name, policy, seconds in (("a", BatchMessages(5, max_wait=2), 2), ("b", Own(), 0)):
        memory_env.sqs_client.create_queue(QueueName=name)
        queue = memory_env.queue(name, batching_policy=policy)
        assert lane_of(queue, WorkerSettings(), ASAP_SHUTDOWN).max_wait_seconds == seconds


def test_the_last_receive_names_the_dead_letter_queue(memory_env: SQSEnv) -> None:
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


@pytest.mark.parametrize("seconds", [-1, 301, float("nan")])
def test_how_long_a_list_waits_has_bounds(seconds: float) -> None:
    with pytest.raises(SettingsError, match="max_wait"):
        BatchMessages(5, max_wait=seconds)
