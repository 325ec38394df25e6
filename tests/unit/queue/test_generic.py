"""What all queues share on the receiving side."""

from collections.abc import Callable
from enum import Enum
from typing import Any

import pytest

from sqsw.backoff_policies import DEFAULT_BACKOFF
from sqsw.batching import BatchMessages
from sqsw.core.errors import QueueNotFound, SettingsError
from sqsw.core.events import Event, QueueWarning, WorkerStopped
from sqsw.core.settings import MIN_LEASE_SECONDS, WorkerSettings
from sqsw.memory_sqs import MemorySession
from sqsw.queue.job_queue import JobQueue
from sqsw.queue.work import lane_of
from sqsw.shutdown_policies import ASAP_SHUTDOWN, IdleShutdown
from sqsw.sqs_env import SQSEnv


def test_a_maker_stores_arguments_for_later(memory_env: SQSEnv) -> None:
    made = memory_env.queue("jobs", JobQueue.maker(accept=["pickle"]))
    assert isinstance(made, JobQueue)
    assert made.accept == ["pickle"]
    assert repr(made) == "<JobQueue jobs>"
    assert made.get_sqs_queue_name() == "jobs"


class Names(str, Enum):  # noqa: UP042  # its str() differs from that of a StrEnum
    """Names of queues, as an app can define them."""

    EMAILS = "emails"


def test_the_name_of_a_queue_becomes_a_plain_str() -> None:
    env = SQSEnv(MemorySession(), queue_prefix="test-")
    queue = env.queue(Names.EMAILS)
    assert (type(queue.name), queue.get_sqs_queue_name()) == (str, "test-emails")
    assert [type(name) for name in env.queues] == [str]


@pytest.mark.parametrize(("wanted", "got"), [(1, 1), (10, 10), (25, 25), (100, 33)])
def test_raw_messages_are_received_up_to_the_number_wanted(
    jobs: JobQueue, wanted: int, got: int
) -> None:
    with jobs.add_batch():
        for number in range(33):
            jobs.add_job("count", number=number)
    messages = jobs.get_raw_messages(0, wanted)
    assert len({message.message_id for message in messages}) == got
    assert len(messages) == got


def test_draining_deletes_all_visible_messages_and_returns_their_number(jobs: JobQueue) -> None:
    with jobs.add_batch():
        for number in range(33):
            jobs.add_job("count", number=number)
        jobs.add_job("count", _delay_seconds=600)
    in_flight = jobs.get_raw_messages(max_messages=3)
    assert jobs.drain_queue() == 30
    assert jobs.drain_queue() == 0
    jobs.client.change_visibility_batch([(message, 0) for message in in_flight])
    assert jobs.drain_queue() == 3


def test_a_batch_of_an_empty_queue_returns_an_empty_result(jobs: JobQueue) -> None:
    result = jobs.process_batch()
    assert (result.queue_name, result.total_count()) == ("jobs", 0)


@pytest.mark.parametrize(
    "work",
    [
        lambda queue: queue.process_batch(),
        lambda queue: queue.process_queue(ASAP_SHUTDOWN, wait_second=0),
        lambda queue: lane_of(queue, WorkerSettings(), ASAP_SHUTDOWN),
        lambda queue: queue.get_raw_messages(),
        lambda queue: queue.drain_queue(),
        lambda queue: queue.get_queue(),
    ],
)
def test_a_missing_queue_is_named(memory_env: SQSEnv, work: Callable[[JobQueue], Any]) -> None:
    with pytest.raises(QueueNotFound, match="'nowhere'"):
        work(memory_env.queue("nowhere"))


@pytest.mark.parametrize(
    ("attribute", "settings", "lease"),
    [
        ("77", WorkerSettings(), 77),
        ("77", WorkerSettings(visibility_timeout=15), 15),
        ("0", WorkerSettings(), MIN_LEASE_SECONDS),
    ],
)
def test_the_lease_comes_from_the_settings_or_the_queue(
    jobs: JobQueue, attribute: str, settings: WorkerSettings, lease: int
) -> None:
    jobs.client.set_attributes({"VisibilityTimeout": attribute})
    lane = lane_of(jobs, settings, ASAP_SHUTDOWN)
    assert lane.visibility_timeout == lease
    assert (lane.name, lane.batch_size, lane.is_fifo) == ("jobs", 1, False)
    assert (lane.shutdown_policy, lane.backoff_policy) == (ASAP_SHUTDOWN, jobs.backoff_policy)


def test_a_dead_letter_target_that_is_not_an_sqs_arn_does_not_stop_a_worker(
    jobs: JobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = {"RedrivePolicy": '{"maxReceiveCount": 3, "deadLetterTargetArn": "arn:x"}'}
    monkeypatch.setattr(type(jobs.client), "attributes", lambda self, *names: policy)
    lane = lane_of(jobs, WorkerSettings(), ASAP_SHUTDOWN)
    assert (lane.max_receives, lane.dead_letter_client) == (3, None)


def test_the_lists_of_a_lane_have_the_batch_size_of_the_queue(fifo_jobs: JobQueue) -> None:
    fifo_jobs.batching_policy = BatchMessages(25)
    lane = lane_of(fifo_jobs, WorkerSettings(), ASAP_SHUTDOWN)
    assert (lane.batch_size, lane.is_fifo) == (25, True)


def test_a_queue_is_processed_until_its_policy_stops(jobs: JobQueue) -> None:
    seen: list[int] = []

    @jobs.processor("count")
    def count(number: int) -> None:
        seen.append(number)

    with jobs.add_batch():
        for number in range(25):
            jobs.add_job("count", number=number)
    jobs.process_queue(shutdown_policy=IdleShutdown(0), wait_second=0)
    assert sorted(seen) == list(range(25))


def test_one_job_runs_at_a_time_by_default(jobs: JobQueue) -> None:
    running: list[int] = []
    most: list[int] = []

    def count(number: int) -> None:
        running.append(number)
        most.append(len(running))
        running.remove(number)

    jobs.connect_processor("count", count)
    with jobs.add_batch():
        for number in range(30):
            jobs.add_job("count", number=number)
    jobs.process_queue(IdleShutdown(0), wait_second=0)
    assert (len(most), max(most)) == (30, 1)


def test_numbers_out_of_range_are_refused_before_anything_runs(jobs: JobQueue) -> None:
    with pytest.raises(SettingsError, match="wait_seconds is 21"):
        jobs.process_queue(wait_second=21)
    with pytest.raises(SettingsError, match="concurrency is 0"):
        jobs.process_queue(concurrency=0)


def test_a_badly_configured_queue_causes_warnings(jobs: JobQueue) -> None:
    heard: list[Event] = []
    jobs.env.events.subscribe(heard.append, QueueWarning, WorkerStopped)
    jobs.client.set_attributes({"VisibilityTimeout": "0"})
    jobs.process_queue(IdleShutdown(0), wait_second=0)
    texts = [event.text for event in heard if isinstance(event, QueueWarning)]
    assert len(texts) == 2
    assert "no dead-letter queue" in texts[0]
    assert "visibility timeout" in texts[1]
    assert isinstance(heard[-1], WorkerStopped)


def test_a_queue_with_a_dead_letter_queue_causes_no_warnings(
    memory_env: SQSEnv, jobs: JobQueue
) -> None:
    heard: list[Event] = []
    memory_env.events.subscribe(heard.append, QueueWarning)
    memory_env.sqs_client.create_queue(QueueName="dead")
    jobs.client.set_attributes({"RedrivePolicy": memory_env.redrive_policy("dead", 12).to_json()})
    jobs.connect_processor("count", print, backoff_policy=DEFAULT_BACKOFF)
    jobs.process_queue(IdleShutdown(0), wait_second=0)
    memory_env.sqs_client.create_queue(
        QueueName="emails_dead"
    )  # a dead-letter queue causes none either
    memory_env.queue("emails_dead").process_queue(IdleShutdown(0), wait_second=0)
    assert heard == []
