"""Raw queues: one function for all messages."""

import asyncio
from typing import Any

import pytest

from sqsw.batching import BatchMessages
from sqsw.context import current_job
from sqsw.core.errors import MessageRefused, TaskAlreadyRegistered, TaskNotFound
from sqsw.core.message import Message
from sqsw.core.results import ProcessingResult, RetryJob
from sqsw.queue.raw_queue import RawQueue
from sqsw.sqs_env import SQSEnv


@pytest.fixture
def raw(memory_env: SQSEnv) -> RawQueue:
    memory_env.sqs_client.create_queue(QueueName="raw")
    return memory_env.queue("raw", RawQueue)


def take(message: Message) -> None: ...


def take_too(message: Message) -> None: ...


@pytest.mark.parametrize("body", ["plain", "{nonsense", "<xml/>", "[" * 1000, "ß☃"])
def test_any_body_reaches_the_function(raw: RawQueue, body: str) -> None:
    seen: list[str] = []
    raw.connect_raw_processor(lambda message: seen.append(message.body))
    raw.add_raw_job(body)
    assert raw.process_batch().succeeded_count() == 1
    assert seen == [body]


def test_a_coroutine_function_can_take_messages(raw: RawQueue) -> None:
    seen: list[Any] = []

    @raw.raw_processor()
    async def take(message: Message) -> None:
        await asyncio.sleep(0)
        job = current_job()
        assert job is not None
        seen.append((message.body, job.id == message.message_id, job.job_name))

    raw.add_raw_job("a")
    (message,) = raw.get_raw_messages()
    assert raw.look_up(message).runs_in == "loop"
    assert asyncio.run(raw.handle_async([message])) == [ProcessingResult(True)]
    assert raw.handle([message]) == [ProcessingResult(True)]
    assert seen == [("a", True, None)] * 2


def test_a_list_function_takes_a_list_of_messages(memory_env: SQSEnv) -> None:
    memory_env.sqs_client.create_queue(QueueName="raw")
    raw = memory_env.queue("raw", RawQueue, BatchMessages(25))
    seen: list[list[str]] = []
    raw.connect_raw_processor(lambda messages: seen.append(sorted(m.body for m in messages)))
    for number in range(12):
        raw.add_raw_job(f"{number:02}")
    assert raw.process_batch().succeeded_count() == 12
    assert seen == [[f"{number:02}" for number in range(12)]]


def test_failures_and_retries_have_different_results(raw: RawQueue) -> None:
    def fail(message: Message) -> None:
        raise ValueError

    def again(message: Message) -> None:
        raise RetryJob

    message = Message("id", "handle", "body")
    for fn, error in ((fail, ValueError), (again, type(None))):
        raw.connect_raw_processor(fn)
        (result,) = raw.handle([message])
        assert not result.success
        assert isinstance(result.error, error)


def test_without_a_function_every_message_fails_with_an_error(raw: RawQueue) -> None:
    (result,) = raw.handle([Message("id", "handle", "body")])
    assert isinstance(result.error, TaskNotFound)
    assert "'raw' has no processor" in str(result.error)


def test_the_decorator_refuses_a_second_function_and_connect_replaces_it(raw: RawQueue) -> None:
    raw.raw_processor()(take)
    raw.raw_processor()(take)
    with pytest.raises(TaskAlreadyRegistered, match="two processors") as caught:
        raw.raw_processor()(take_too)
    assert "take_too" in str(caught.value.why)
    assert raw.connect_raw_processor(take_too) is take_too
    assert raw.processor is take_too


def test_a_message_that_sqs_would_refuse_is_refused_before_the_call(raw: RawQueue) -> None:
    for wrong in ("", "\0", "x" * 1_048_577):
        with pytest.raises(MessageRefused):
            raw.add_raw_job(wrong)
    with pytest.raises(MessageRefused, match="does not support deduplication IDs"):
        raw.add_raw_job("body", deduplication_id="d")
    with pytest.raises(MessageRefused, match="a delay of 15m1s is too long"):
        raw.add_raw_job("body", delay_seconds=901)
    assert raw.drain_queue() == 0
