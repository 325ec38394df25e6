"""A dead-letter queue that pushes every message back."""

import pytest

from sqsw.core.errors import TaskNotFound
from sqsw.deadletter_queue import PUSH_BACK_DELAY_SECONDS, DeadLetterQueue, PushBackSender
from sqsw.memory_sqs import MemorySession
from sqsw.queue.job_queue import JobQueue
from sqsw.queue.raw_queue import RawQueue
from sqsw.sqs_env import SQSEnv


@pytest.fixture
def dead(jobs: JobQueue) -> DeadLetterQueue:
    jobs.env.sqs_client.create_queue(QueueName="dead")  # type: ignore[attr-defined]  # it is an SQSEnv
    queue: DeadLetterQueue = jobs.env.queue("dead", DeadLetterQueue.maker(jobs))  # type: ignore[attr-defined]  # it is an SQSEnv
    return queue


def test_the_maker_keeps_the_upstream_queue(jobs: JobQueue, dead: DeadLetterQueue) -> None:
    assert dead.upstream_queue is jobs
    assert isinstance(dead.processor, PushBackSender)
    assert dead.processor.upstream_queue is jobs
    assert isinstance(dead, RawQueue)


def test_a_dead_letter_is_pushed_back_unchanged_after_a_second(
    jobs: JobQueue, dead: DeadLetterQueue, memory_env: SQSEnv
) -> None:
    attributes = {
        "JobName": {"DataType": "String", "StringValue": "hello"},
        "Bytes": {"DataType": "Binary", "BinaryValue": b"\0\1"},
        "Number": {"DataType": "Number.int", "StringValue": "5"},
    }
    dead.client.send(
        {"MessageBody": "body", "MessageAttributes": attributes, "MessageGroupId": "g"}
    )
    assert dead.process_batch().succeeded_count() == 1
    assert dead.drain_queue() == 0
    assert jobs.get_raw_messages() == []
    session = memory_env.session
    assert isinstance(session, MemorySession)
    session.clock.advance(seconds=PUSH_BACK_DELAY_SECONDS)
    (message,) = jobs.get_raw_messages()
    assert message.body == "body"
    assert message.message_attributes == attributes
    assert message.group_id == "g"


def test_a_dead_letter_that_cannot_be_pushed_back_stays(
    jobs: JobQueue, dead: DeadLetterQueue
) -> None:
    dead.client.send({"MessageBody": "body"})
    jobs.client.delete_queue()
    assert dead.process_batch().failed_count() == 1
    assert len(dead.get_raw_messages()) == 1


def test_a_fifo_dead_letter_is_deduplicated_by_its_message_id(
    memory_env: SQSEnv,
) -> None:
    for name in ("jobs.fifo", "dead.fifo"):
        memory_env.sqs_client.create_queue(QueueName=name, Attributes={"FifoQueue": "true"})
    jobs = memory_env.queue("jobs.fifo")
    dead = memory_env.queue("dead.fifo", DeadLetterQueue.maker(jobs))
    sent = dead.client.send(
        {"MessageBody": "body", "MessageGroupId": "g", "MessageDeduplicationId": "d"}
    )
    # SQS still remembers this deduplication ID. It would accept the message and not store it.
    jobs.client.send({"MessageBody": "x", "MessageGroupId": "h", "MessageDeduplicationId": "d"})
    assert dead.process_batch().succeeded_count() == 1
    found = {m.body: (m.group_id, m.deduplication_id) for m in jobs.get_raw_messages()}
    assert found == {"x": ("h", "d"), "body": ("g", sent["MessageId"])}


def test_without_an_upstream_queue_it_is_a_plain_raw_queue(memory_env: SQSEnv) -> None:
    memory_env.sqs_client.create_queue(QueueName="dead")
    dead = memory_env.queue("dead", DeadLetterQueue)
    dead.client.send({"MessageBody": "body"})
    (message,) = dead.get_raw_messages()
    (result,) = dead.handle([message])
    assert isinstance(result.error, TaskNotFound)
