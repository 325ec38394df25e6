# mypy: disable-error-code="no-untyped-def,no-untyped-call"
# The examples stand here as their readers write them, without annotations.
"""Raw queues: one function for all messages."""

import pytest

from sqsw import RawQueue, SQSEnv, create_fifo_queue, create_standard_queue
from sqsw.core.errors import TaskAlreadyRegistered
from sqsw.shutdown_policies import MaxTasksShutdown
from tests.seed.conftest import receive

pytestmark = pytest.mark.usefixtures("place")


def test_a_raw_queue_passes_messages_on_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    sqs = SQSEnv()
    create_standard_queue(sqs, "cron")

    cron = sqs.queue("cron", RawQueue)

    @cron.raw_processor()
    def processor(message):
        print(message.body)

    cron.add_raw_job("Hello world")

    cron.process_queue(shutdown_policy=MaxTasksShutdown(1), wait_second=1)
    assert capsys.readouterr().out == "Hello world\n"
    assert cron.process_batch().total_count() == 0


def test_the_environment_has_the_decorator_too() -> None:
    sqs = SQSEnv()
    create_standard_queue(sqs, "cron")
    seen = []

    @sqs.raw_processor("cron")
    def processor(message):
        seen.append(message.body)

    sqs.queue("cron", RawQueue).add_raw_job("Hello world")
    assert sqs.process_batch("cron", wait_seconds=1).succeeded_count() == 1
    assert seen == ["Hello world"]


def test_a_raw_queue_has_only_one_processor() -> None:
    cron = SQSEnv().queue("cron", RawQueue)

    @cron.raw_processor()
    def processor(message):
        raise AssertionError

    with pytest.raises(TaskAlreadyRegistered, match="two processors"):

        @cron.raw_processor()
        def another(message):
            raise AssertionError

    cron.connect_raw_processor(print)
    assert cron.processor is print


def test_raw_messages_can_be_delayed_and_go_to_fifo_queues() -> None:
    sqs = SQSEnv()
    create_standard_queue(sqs, "cron")
    create_fifo_queue(sqs, "cron.fifo")
    delayed = sqs.queue("cron", RawQueue)
    delayed.add_raw_job("later", delay_seconds=600)
    assert delayed.get_raw_messages() == []
    assert delayed.client.attributes()["ApproximateNumberOfMessagesDelayed"] == "1"

    fifo = sqs.queue("cron.fifo", RawQueue)
    fifo.add_raw_job("first", deduplication_id="1")
    fifo.add_raw_job("second", deduplication_id="2", group_id="mine")
    found = {m.body: (m.deduplication_id, m.group_id) for m in receive(fifo, 2)}
    assert found == {"first": ("1", "default"), "second": ("2", "mine")}


def test_a_raw_processor_that_raises_does_not_delete_the_message() -> None:
    sqs = SQSEnv()
    create_standard_queue(sqs, "cron")
    cron = sqs.queue("cron", RawQueue)

    @cron.raw_processor()
    def processor(message):
        raise ValueError(message.body)

    cron.add_raw_job("Hello world")
    assert cron.process_batch(wait_seconds=1).failed_count() == 1


def test_a_queue_can_be_drained_without_a_processor() -> None:
    sqs = SQSEnv()
    create_standard_queue(sqs, "cron")
    cron = sqs.queue("cron", RawQueue)
    for number in range(12):
        cron.add_raw_job(f"message {number}")
    drained = cron.drain_queue()
    while drained < 12:  # SQS can report a queue as empty although it is not
        drained += cron.drain_queue(wait_seconds=1)
    assert drained == 12
    assert cron.drain_queue() == 0
