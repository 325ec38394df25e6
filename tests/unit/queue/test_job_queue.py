"""Job queues: registering, sending and running jobs."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from sqsw.codecs.envelope import pack_job
from sqsw.core.errors import (
    DecodeError,
    MessageRefused,
    QueueNotFound,
    TaskAlreadyRegistered,
    TaskNotFound,
)
from sqsw.core.jobs.job_key import JobKey
from sqsw.core.message import Message
from sqsw.core.results import ProcessingResult
from sqsw.memory_sqs import MemorySession
from sqsw.processors import Processor
from sqsw.queue.job_queue import UNKNOWN_JOB_BACKOFF, JobQueue
from sqsw.sqs_env import SQSEnv


def hello(name: str = "") -> None: ...


def another(name: str = "") -> None: ...


# -- registering ----------------------------------------------------------------------------------


def test_a_name_in_use_is_refused_with_both_functions_and_their_sources(memory_env: SQSEnv) -> None:
    queue = memory_env.queue("jobs")
    queue.processor("hello")(hello)
    with (
        memory_env.registering_from("plugin 1.0"),
        pytest.raises(TaskAlreadyRegistered, match=r"'jobs\.hello' is registered twice") as caught,
    ):
        queue.processor("hello")(another)
    why = str(caught.value.why)
    assert "test_job_queue.hello (app)" in why
    assert "test_job_queue.another (plugin 1.0)" in why
    assert (caught.value.reason, caught.value.next) == ("plugin", "rename one, or load no plugins")
    with pytest.raises(TaskAlreadyRegistered) as caught:
        queue.processor("hello")(another)
    assert caught.value.next == "rename one"


def test_the_same_function_can_be_registered_again_and_connect_replaces_it(
    memory_env: SQSEnv,
) -> None:
    queue = memory_env.queue("jobs")
    queue.processor("hello")(hello)
    queue.processor("hello", pass_context=True)(hello)
    assert queue.processors["hello"].pass_context
    queue.connect_processor("hello", another)
    assert queue.processors["hello"].fn is another
    assert queue.get_processor("nobody") is None


def test_one_function_can_have_several_names(memory_env: SQSEnv) -> None:
    queue = memory_env.queue("jobs")
    queue.processor("first")(hello)
    queue.processor("second")(hello)
    assert sorted(queue.processors) == ["first", "second"]


@pytest.mark.parametrize("keywords", [{}, {"pass_context": True}])
def test_an_extra_queue_name_is_refused_with_the_right_call(
    memory_env: SQSEnv, keywords: dict[str, Any]
) -> None:
    queue = memory_env.queue("jobs")
    with pytest.raises(TypeError) as caught:
        queue.processor("q1", "hello", **keywords)  # type: ignore[call-overload]  # the mistake
    for hint in ("env.processor('q1', 'hello', …)", "queue.processor('hello', …)"):
        assert hint in str(caught.value)
    assert queue.processors == {}


def test_processors_are_copied_to_another_queue(
    memory_env: SQSEnv,
) -> None:
    jobs, dead = memory_env.queue("jobs"), memory_env.queue("dead")
    jobs.processor("hello", pass_context=True, context_var="ctx")(hello)
    jobs.copy_processors(dead)
    copy = dead.get_processor("hello")
    assert isinstance(copy, Processor)
    assert (copy.queue, copy.fn, copy.context_var) == (dead, hello, "ctx")
    assert jobs.processors["hello"].queue is jobs
    assert len(memory_env.registrations()) == 2


# -- sending --------------------------------------------------------------------------------------


def test_a_job_is_sent_at_once_and_its_message_id_is_returned(jobs: JobQueue) -> None:
    sent = jobs.add_job("hello", name="ann")
    (message,) = jobs.get_raw_messages()
    assert message.message_id == sent
    assert json.loads(message.body) == {"name": "ann"}


def test_an_invalid_job_is_not_sent(jobs: JobQueue) -> None:
    with pytest.raises(MessageRefused, match="argument 'at'"):
        jobs.add_job("hello", at={1})
    with pytest.raises(MessageRefused, match="a delay of 15m1s is too long"):
        jobs.add_job("hello", _delay_seconds=901)
    assert jobs.drain_queue() == 0


def test_a_context_that_cannot_be_encoded_is_refused(jobs: JobQueue) -> None:
    with jobs.env.context(user={1}), pytest.raises(MessageRefused, match="'user'"):
        jobs.add_job("hello")


def test_a_missing_queue_is_named(memory_env: SQSEnv) -> None:
    with pytest.raises(QueueNotFound, match="'nowhere'"):
        memory_env.queue("nowhere").add_job("hello")


def test_a_raw_job_is_sent_unchanged(fifo_jobs: JobQueue) -> None:
    fifo_jobs.add_raw_job("hello", "[]", '{"a":1}', "yaml", None, "d", "g")
    (message,) = fifo_jobs.get_raw_messages()
    assert message.body == "[]"
    assert (message.deduplication_id, message.group_id) == ("d", "g")
    attributes = ("JobName", "JobContext", "ContentType")
    assert [message.string_attribute(name) for name in attributes] == ["hello", '{"a":1}', "yaml"]


# -- running --------------------------------------------------------------------------------------


def test_each_job_runs_in_the_processor_of_its_name(jobs: JobQueue) -> None:
    seen: list[str] = []
    jobs.connect_processor("a", lambda: seen.append("a"))
    jobs.connect_processor("b", lambda: seen.append("b"))
    for name in "aba":
        jobs.add_job(name)
    assert jobs.process_batch().succeeded_count() == 3
    assert sorted(seen) == ["a", "a", "b"]


def test_a_failing_job_does_not_affect_the_others(jobs: JobQueue) -> None:
    def hello(number: int) -> None:
        if number == 1:
            raise ValueError

    jobs.connect_processor("hello", hello)
    for number in range(3):
        jobs.add_job("hello", number=number)
    result = jobs.process_batch()
    assert (result.succeeded_count(), result.failed_count()) == (2, 1)
    assert json.loads(result.failed[0].body) == {"number": 1}


def test_an_unknown_job_is_hidden_for_five_minutes_and_never_deleted(
    jobs: JobQueue, memory_env: SQSEnv
) -> None:
    jobs.connect_processor("known", hello)
    jobs.add_job("unknown")
    result = jobs.process_message(*jobs.get_raw_messages())
    assert isinstance(result, ProcessingResult)
    assert result.backoff_policy is UNKNOWN_JOB_BACKOFF
    assert isinstance(result.error, TaskNotFound)
    assert "'jobs.unknown'" in str(result.error)
    assert result.error.why == "registered for this queue: known"

    session = memory_env.session
    assert isinstance(session, MemorySession)
    session.clock.advance(seconds=31)
    assert jobs.process_batch().failed_count() == 1
    session.clock.advance(seconds=299)
    assert jobs.get_raw_messages() == []
    session.clock.advance(seconds=2)
    assert len(jobs.get_raw_messages()) == 1


def test_a_message_without_a_job_name_fails_with_an_error(jobs: JobQueue) -> None:
    result = jobs.process_message(Message("id", "handle", "{}"))
    assert isinstance(result, ProcessingResult)
    assert isinstance(result.error, DecodeError)
    assert "no attribute JobName" in str(result.error)


def test_the_accepted_content_types_come_from_the_queue_or_the_environment() -> None:
    env = SQSEnv(MemorySession(), accept=["json"])
    for name in ("strict", "trusting"):
        env.sqs_client.create_queue(QueueName=name)
    strict = env.queue("strict")
    trusting = env.queue("trusting", accept=["pickle"])
    for queue in (strict, trusting):
        queue.connect_processor("hello", hello)
        for content_type in ("json", "pickle"):
            queue.add_job("hello", _content_type=content_type, name="ann")
    for queue, refused in ((strict, "pickle"), (trusting, "json")):
        result = queue.process_batch()
        assert result.succeeded_count() == 1
        assert [m.string_attribute("ContentType") for m in result.failed] == [refused]


def test_an_override_can_return_a_bool_as_in_sqs_workers(
    memory_env: SQSEnv,
) -> None:
    class Forgiving(JobQueue):
        def process_message_fallback(self, job_name: str) -> bool:
            return job_name == "ignored"

    memory_env.sqs_client.create_queue(QueueName="jobs")
    queue = memory_env.queue("jobs", Forgiving)
    queue.add_job("ignored")
    queue.add_job("unknown")
    result = queue.process_batch()
    assert [m.string_attribute("JobName") for m in result.succeeded] == ["ignored"]
    assert [m.string_attribute("JobName") for m in result.failed] == ["unknown"]


def test_coroutines_run_on_the_loop_and_functions_in_a_thread(jobs: JobQueue) -> None:
    async def later() -> None: ...

    jobs.connect_processor("later", later)
    jobs.connect_processor("hello", hello)

    def kind(job_name: str) -> str:
        entry = pack_job(job_name, {})
        message = Message("i", "h", "{}", message_attributes=entry["MessageAttributes"])
        return jobs.look_up(message).runs_in

    assert [kind(name) for name in ("later", "hello", "unknown")] == ["loop", "thread", "thread"]
    assert jobs.look_up(Message("i", "h", "")) == JobKey(None, "thread", is_registered=False)


def test_a_generator_function_cannot_be_a_job(jobs: JobQueue) -> None:
    def plain() -> Iterator[int]:
        yield 1

    async def on_the_loop() -> AsyncIterator[int]:
        yield 1

    for fn in (plain, on_the_loop):
        with pytest.raises(TypeError, match="generator function"):
            jobs.processor("hello")(fn)


def test_a_parameter_that_can_never_be_passed_is_refused(jobs: JobQueue) -> None:
    def hello(_group_id: str) -> None: ...

    with pytest.raises(TypeError, match="_group_id"):
        jobs.processor("hello")(hello)


def test_one_function_can_serve_two_queues(memory_env: SQSEnv, jobs: JobQueue) -> None:
    memory_env.sqs_client.create_queue(QueueName="others")
    seen: list[str] = []

    @memory_env.processor("others", "greet")
    @jobs.processor("hello")
    def hello(name: str) -> None:
        seen.append(name)

    hello.delay(name="ann")
    memory_env.queue("jobs").add_job("hello", name="ben")
    assert memory_env.process_batch("others").succeeded_count() == 1
    assert jobs.process_batch().succeeded_count() == 1
    assert seen == ["ann", "ben"]
