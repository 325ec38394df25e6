"""Middlewares see each message before it is sent."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from sqsw.core.errors import MessageRefused, SQSBatchError
from sqsw.core.jobs.current_job import CurrentJob
from sqsw.core.limits import MAX_MESSAGE_BYTES
from sqsw.memory_sqs import MemorySession
from sqsw.middleware.send_chain import OutgoingEntry
from sqsw.queue.raw_queue import RawQueue
from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage.create import create_fifo_queue, create_standard_queue
from sqsw.sqs_manage.outgoing import OutgoingMessage
from sqsw.sqs_manage.send_many import SendReport, send_messages
from tests.job_ids import is_new


class Plain:
    """A middleware for jobs only."""

    @contextmanager
    def around(self, job: CurrentJob) -> Iterator[None]:
        yield


class Stamping(Plain):
    """Records what is sent, and adds an attribute."""

    def __init__(self, name: str, notes: list[Any]) -> None:
        self.name = name
        self.notes = notes

    def before_send(self, message: OutgoingEntry) -> None:
        self.notes.append((self.name, message.queue_name, message.job_name, message.job_id))
        message.set_attribute(f"By-{self.name}", str(len(self.notes)))


class Failing(Plain):
    """Raises an error for messages with the text ``bad``."""

    def before_send(self, message: OutgoingEntry) -> None:
        if "bad" in message.entry["MessageBody"]:
            raise ConnectionError("the tracer is gone")


class Filling(Plain):
    """Adds this many attributes, or bytes to the body."""

    def __init__(self, attributes: int = 0, size: int = 0) -> None:
        self.attributes, self.size = attributes, size

    def before_send(self, message: OutgoingEntry) -> None:
        message.entry["MessageBody"] += " " * self.size
        for number in range(self.attributes):
            message.set_attribute(f"A{number}", "x")


@pytest.fixture
def notes() -> list[Any]:
    return []


def env_with(*middlewares: Any) -> SQSEnv:
    env = SQSEnv(MemorySession(), middlewares=middlewares)
    create_standard_queue(env, "jobs")
    return env


def attributes_of(env: SQSEnv, queue: str = "jobs") -> list[dict[str, Any]]:
    messages = env.queue_client(queue).receive(10, wait_seconds=0)
    return [
        {name: value.get("StringValue") for name, value in message.message_attributes.items()}
        for message in messages
    ]


def test_each_job_passes_the_middlewares_of_its_environment_and_its_queue(notes: list[Any]) -> None:
    env = env_with(Plain(), Stamping("env", notes))
    env.queue("jobs", middlewares=[Stamping("queue", notes)])

    @env.processor("jobs", "hello")
    def hello(name: str) -> None: ...

    hello.delay("ann", _job_id="mail-1")
    assert notes == [("env", "jobs", "hello", "mail-1"), ("queue", "jobs", "hello", "mail-1")]
    (attributes,) = attributes_of(env)
    assert (attributes["By-env"], attributes["By-queue"]) == ("1", "2")


def test_a_middleware_sees_the_new_job_id(notes: list[Any]) -> None:
    env = env_with(Stamping("env", notes))
    env.add_job("jobs", "hello")
    (note,) = notes
    assert is_new(note[3])
    (attributes,) = attributes_of(env)
    assert attributes["Sqsw"] == f'{{"id":"{note[3]}"}}'


def test_a_batched_job_is_seen_once_when_it_is_added(notes: list[Any]) -> None:
    env = env_with(Stamping("env", notes))
    queue = env.queue("jobs")
    with queue.add_batch():
        for number in range(12):
            queue.add_job("hello", number=number)
            assert len(notes) == number + 1
    assert len(notes) == 12


def test_raw_messages_are_seen_without_a_job_name(notes: list[Any]) -> None:
    env = env_with(Stamping("env", notes))
    env.queue("jobs", RawQueue).add_raw_job("text")
    assert [note[:3] for note in notes] == [("env", "jobs", None)]
    (attributes,) = attributes_of(env)
    assert attributes.keys() == {"Sqsw", "By-env"}


def test_an_error_refuses_only_its_message() -> None:
    env = env_with(Failing())
    queue = env.queue("jobs")
    with pytest.raises(MessageRefused) as caught:
        queue.add_job("hello", text="bad")
    assert caught.value.message == "Failing.before_send() failed, so the message was not sent"
    assert caught.value.why == "ConnectionError: the tracer is gone"
    assert isinstance(caught.value.__cause__, ConnectionError)
    with queue.add_batch():
        queue.add_job("hello", text="good")
        with pytest.raises(MessageRefused):
            queue.add_job("hello", text="bad")
    assert len(attributes_of(env)) == 1


def test_limits_apply_after_the_middlewares() -> None:
    with pytest.raises(MessageRefused, match="11 attributes"):
        env_with(Filling(8)).add_job("jobs", "hello")
    with pytest.raises(MessageRefused, match="the limit is 1048576"):
        env_with(Filling(size=MAX_MESSAGE_BYTES)).add_job("jobs", "hello")


def test_a_new_job_id_is_dropped_to_make_room_for_attributes() -> None:
    env = env_with(Filling(7))
    env.add_job("jobs", "hello")
    (attributes,) = attributes_of(env)
    assert len(attributes) == 10
    assert "Sqsw" not in attributes
    with pytest.raises(MessageRefused, match="11 attributes"):  # the caller chose this id
        env.add_job("jobs", "hello", _job_id="mail-1")


def send(env: SQSEnv, *lines: OutgoingMessage, queue: str = "jobs") -> tuple[SendReport, list[Any]]:
    results: list[Any] = []
    report = send_messages(env, queue, lines, on_result=results.append)
    return report, results


def test_bulk_messages_are_seen_once(notes: list[Any]) -> None:
    env = env_with(Stamping("env", notes))
    env.queue("jobs", middlewares=[Stamping("queue", notes)])
    lines = [OutgoingMessage(n, job="hello", args={"n": n}) for n in range(1, 13)]
    report, results = send(env, *lines)
    assert report.sent == 12
    assert [note[0] for note in notes] == ["env", "queue"] * 12
    assert [note[3] for note in notes[::2]] == [result.job_id for result in results]


def test_a_queue_unknown_to_the_app_uses_the_middlewares_of_the_environment(
    notes: list[Any],
) -> None:
    env = env_with(Stamping("env", notes))
    send(env, OutgoingMessage(body="text"))
    assert [note[:3] for note in notes] == [("env", "jobs", None)]


def test_an_error_fails_a_line_and_stops_its_group() -> None:
    env = env_with(Failing())
    create_fifo_queue(env, "jobs.fifo")
    texts = [("a", "good"), ("a", "bad"), ("a", "good"), ("b", "good")]
    lines = [
        OutgoingMessage(n, job="hello", args={"text": text}, group=group, dedup_id=str(n))
        for n, (group, text) in enumerate(texts, 1)
    ]
    report, _ = send(env, *lines, queue="jobs.fifo")
    assert [(each.line, each.code) for each in report.failures] == [
        (2, "MessageRefused"),
        (3, "GroupStopped"),
    ]
    assert "the tracer is gone" in report.failures[0].message


def test_limits_apply_in_bulk_and_a_new_job_id_is_dropped() -> None:
    env = env_with(Filling(7))
    report, results = send(env, OutgoingMessage(job="hello", args={}))
    assert report.sent == 1
    assert results[0].job_id == results[0].id  # no room for a job id
    report, _ = send(env_with(Filling(8)), OutgoingMessage(job="hello", args={}))
    assert report.failed == 1


def test_a_pushed_back_message_is_not_seen_again(notes: list[Any]) -> None:
    from sqsw.deadletter_queue import DeadLetterQueue

    env = env_with(Stamping("env", notes))
    create_standard_queue(env, "dead")
    dead = env.queue("dead", DeadLetterQueue.maker(env.queue("jobs")))
    dead.client.send({"MessageBody": "x", "MessageAttributes": {}})
    assert dead.process_batch().succeeded_count() == 1
    assert notes == []


def test_a_batch_error_has_the_entries_that_the_middlewares_saw(notes: list[Any]) -> None:
    env = env_with(Stamping("env", notes))
    create_fifo_queue(env, "jobs.fifo")
    queue = env.queue("jobs.fifo")
    with pytest.raises(SQSBatchError) as caught, queue.add_batch():
        queue.add_job("hello", _job_id="mail-1")  # no deduplication id
    (failed,) = caught.value.errors
    assert failed["_message"]["MessageAttributes"]["Sqsw"]["StringValue"] == '{"id":"mail-1"}'
