"""Every sent message has a job ID."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from sqsw.context import current_job
from sqsw.core.errors import MessageRefused
from sqsw.core.limits import MAX_MESSAGE_BYTES
from sqsw.queue.job_queue import JobQueue
from sqsw.queue.raw_queue import RawQueue
from sqsw.sqs_env import SQSEnv
from tests.job_ids import is_new


def carried(jobs: JobQueue) -> list[str]:
    """Take all messages out of the queue and return their job IDs."""
    messages = jobs.get_raw_messages()
    jobs.client.delete_batch(messages)
    texts = [message.string_attribute("Sqsw") for message in messages]
    values = [json.loads(text) for text in texts if text is not None]
    assert len(values) == len(texts)
    assert all(value.keys() == {"id"} for value in values)
    return [value["id"] for value in values]


Send = Callable[[JobQueue, dict[str, Any]], object]


def by_delay(jobs: JobQueue, own: dict[str, Any]) -> object:
    task = jobs.connect_processor("hello", print)
    return task.delay(**own)


def by_bake(jobs: JobQueue, own: dict[str, Any]) -> object:
    task: Any = jobs.connect_processor("hello", print)
    return task.bake(**own).delay()


def by_add_job(jobs: JobQueue, own: dict[str, Any]) -> object:
    return jobs.add_job("hello", **own)


def by_env(jobs: JobQueue, own: dict[str, Any]) -> object:
    env: Any = jobs.env
    return env.add_job(jobs.name, "hello", **own)


def by_batch(jobs: JobQueue, own: dict[str, Any]) -> object:
    with jobs.add_batch():
        return jobs.add_job("hello", **own)


def by_raw_job(jobs: JobQueue, own: dict[str, Any]) -> object:
    return jobs.add_raw_job("hello", "{}", job_id=own.get("_job_id"))


def by_raw_queue(jobs: JobQueue, own: dict[str, Any]) -> object:
    raw = RawQueue(jobs.env, jobs.name)
    return raw.add_raw_job("text", job_id=own.get("_job_id"))


WAYS = [by_delay, by_bake, by_add_job, by_env, by_batch, by_raw_job, by_raw_queue]


@pytest.mark.parametrize("send", WAYS)
def test_a_message_gets_a_new_id(jobs: JobQueue, send: Send) -> None:
    send(jobs, {})
    send(jobs, {})
    first, second = carried(jobs)
    assert is_new(first) and is_new(second)
    assert first != second


@pytest.mark.parametrize("send", WAYS)
def test_the_caller_can_choose_the_id(jobs: JobQueue, send: Send) -> None:
    for job_id in ("order-17", "x" * 128, '"quoted\\"', str(uuid.uuid4())):
        send(jobs, {"_job_id": job_id})
        assert carried(jobs) == [job_id]


@pytest.mark.parametrize("send", WAYS)
@pytest.mark.parametrize(
    "job_id", ["", "two words", "é", "a\n", "\x7f", "x" * 129, 17, uuid.UUID(int=1), b"a", True]
)
def test_an_invalid_id_is_refused(jobs: JobQueue, send: Send, job_id: Any) -> None:
    with pytest.raises(MessageRefused) as caught:
        send(jobs, {"_job_id": job_id})
    assert "cannot be a job id" in caught.value.message
    assert caught.value.why is not None and "1 to 128 printable ASCII" in caught.value.why
    assert jobs.drain_queue() == 0


def test_the_id_is_not_an_argument_of_the_job(jobs: JobQueue) -> None:
    @jobs.processor("hello")
    def hello(name: str) -> None: ...

    hello.delay("ann", _job_id="order-17")
    (message,) = jobs.get_raw_messages()
    assert json.loads(message.body) == {"name": "ann"}
    with pytest.raises(TypeError, match="_job_id"):

        @jobs.processor("other")
        def other(_job_id: str) -> None: ...


def test_ids_sort_by_send_time(jobs: JobQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(1_800_000_000_000_000_000, 1_900_000_000_000_000_000, 1_000_000))
    monkeypatch.setattr("time.time_ns", lambda: next(now))
    sent = []
    for _ in range(5):
        jobs.add_job("hello")
        sent += carried(jobs)
    assert sent == sorted(sent)


def test_the_largest_messages_have_no_id(memory_env: SQSEnv, jobs: JobQueue) -> None:
    raw = RawQueue(memory_env, "jobs")
    raw.add_raw_job("x" * MAX_MESSAGE_BYTES)
    (message,) = jobs.get_raw_messages()
    assert (len(message.body), message.message_attributes) == (MAX_MESSAGE_BYTES, {})
    with pytest.raises(MessageRefused, match="the limit is 1048576"):
        raw.add_raw_job("x" * MAX_MESSAGE_BYTES, job_id="order-17")
    with pytest.raises(MessageRefused, match="the message is 1048577 bytes"):
        raw.add_raw_job("x" * (MAX_MESSAGE_BYTES + 1))


def test_a_job_keeps_its_id_when_it_is_received_again(jobs: JobQueue) -> None:
    seen: list[Any] = []

    @jobs.processor("hello")
    def hello() -> None:
        job = current_job()
        assert job is not None
        seen.append((job.job_id, job.receive_count))
        raise ValueError

    hello.delay(_job_id="order-17")
    for _ in range(2):
        jobs.process_batch()
    assert seen == [("order-17", 1), ("order-17", 2)]
