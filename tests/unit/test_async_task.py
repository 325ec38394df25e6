"""What a decorated function becomes: a task that can be sent."""

import asyncio
import json
import threading
from typing import Any, Unpack

import pytest

from sqsw.async_task import AsyncTask, AsyncTaskDelayArgs
from sqsw.batching import BatchMessages
from sqsw.core.errors import MessageRefused, UnboundTask
from sqsw.core.job_metadata import job_id_of
from sqsw.queue.job_queue import JobQueue
from sqsw.sqs_env import SQSEnv


def send_email(to: str, subject: str = "Hello") -> str:
    """Sends an email."""
    return f"{subject} {to}"


@pytest.fixture
def task(jobs: JobQueue) -> AsyncTask[...]:
    return jobs.connect_processor("send_email", send_email)


def bodies(queue: JobQueue) -> list[Any]:
    return [json.loads(message.body) for message in queue.get_raw_messages()]


def test_a_task_keeps_the_metadata_of_its_function(jobs: JobQueue, task: AsyncTask[...]) -> None:
    assert task.__doc__ == "Sends an email."
    assert task.__name__ == "send_email"
    assert task.__wrapped__ is send_email
    assert (task.queue, task.job_name, task.processor) == (jobs, "send_email", send_email)
    assert repr(task) == "<AsyncTask jobs.send_email>"
    assert repr(task.bake("ann")) == "<BakedAsyncTask send_email>"


def test_arguments_are_bound_when_a_task_is_sent(jobs: JobQueue, task: AsyncTask[...]) -> None:
    task.delay("ann", subject="Hi")
    assert bodies(jobs) == [{"to": "ann", "subject": "Hi"}]
    for args, kwargs in (((), {}), (("ann", "Hi", "x"), {}), (("ann",), {"body": "x"})):
        with pytest.raises(TypeError):
            task.delay(*args, **kwargs)
        with pytest.raises(TypeError):
            task.bake(*args, **kwargs)
    assert bodies(jobs) == []


def test_calling_a_task_directly_raises_and_runs_nothing(task: AsyncTask[...]) -> None:
    with pytest.raises(RuntimeError, match=r"jobs\.send_email.*\.delay\(.*\.run\("):
        task("ann")
    assert task.run("ann") == "Hello ann"


def test_keywords_with_an_underscore_are_options_of_the_message(fifo_jobs: JobQueue) -> None:
    task = fifo_jobs.connect_processor("send_email", send_email)
    task.delay("ann", _group_id="g", _deduplication_id="d", _content_type="pickle")
    (message,) = fifo_jobs.get_raw_messages()
    assert (message.group_id, message.deduplication_id) == ("g", "d")
    assert message.string_attribute("ContentType") == "pickle"
    with pytest.raises(MessageRefused, match="does not support a delay"):
        task.delay("ann", _deduplication_id="d2", _delay_seconds=5)


def test_a_missing_deduplication_id_is_reported_with_the_ways_to_set_it(
    fifo_jobs: JobQueue,
) -> None:
    task = fifo_jobs.connect_processor("send_email", send_email)
    with pytest.raises(MessageRefused, match="needs a deduplication id") as caught:
        task.delay("ann", _group_id="g")
    assert caught.value.next == (
        "give each message one: _deduplication_id= for delay() and add_job(), deduplication_id= "
        "for add_raw_job(); or turn on ContentBasedDeduplication of the queue"
    )


def test_other_keywords_with_an_underscore_are_arguments(jobs: JobQueue) -> None:
    def odd(_private: int) -> None: ...

    jobs.connect_processor("odd", odd).delay(_private=1)
    assert bodies(jobs) == [{"_private": 1}]
    with pytest.raises(TypeError, match="_priority"):
        jobs.connect_processor("odd", odd).delay(_private=1, _priority=2)  # type: ignore[call-overload]  # the test


def test_a_function_can_declare_the_options_of_the_message(jobs: JobQueue) -> None:
    seen: list[Any] = []

    @jobs.processor("typed")
    def typed(to: str, **_delay_args: Unpack[AsyncTaskDelayArgs]) -> None:
        seen.append((to, _delay_args))

    typed.delay(to="ann", _delay_seconds=0, _content_type="json")
    assert jobs.process_batch().succeeded_count() == 1
    assert seen == [("ann", {})]


def test_arguments_can_have_the_names_of_internal_parameters(jobs: JobQueue) -> None:
    seen: list[Any] = []

    @jobs.processor("odd")
    def odd(self: int, job_name: int, queue: int, args: int, kwargs: int) -> None:
        seen.append((self, job_name, queue, args, kwargs))

    odd.delay(1, 2, 3, args=4, kwargs=5)
    jobs.process_batch()
    assert seen == [(1, 2, 3, 4, 5)]


def test_the_sender_cannot_pass_the_context(jobs: JobQueue) -> None:
    @jobs.processor("hello", pass_context=True)
    def hello(context: Any, name: str) -> None: ...

    hello.delay("ann")
    assert bodies(jobs) == [{"name": "ann"}]
    with pytest.raises(TypeError, match="context"):
        hello.delay("ann", context={})


def test_a_baked_task_keeps_its_arguments_and_message_options(
    jobs: JobQueue, task: AsyncTask[...]
) -> None:
    baked = task.bake("ann", _content_type="pickle")
    assert baked.delay()
    with jobs.add_batch():
        assert baked.delay() is None
    assert {m.string_attribute("ContentType") for m in jobs.get_raw_messages()} == {"pickle"}


def test_the_task_of_a_batch_function_takes_only_keywords(memory_env: SQSEnv) -> None:
    memory_env.sqs_client.create_queue(QueueName="many")
    queue = memory_env.queue("many", batching_policy=BatchMessages(10))

    @queue.processor("send_emails")
    def send_emails(jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return jobs

    task: AsyncTask[...] = send_emails
    task.delay(to="ann", anything="goes")
    assert bodies(queue) == [{"to": "ann", "anything": "goes"}]
    with pytest.raises(TypeError, match="keywords only"):
        task.delay("ann")
    with pytest.raises(TypeError, match="keywords only"):
        task.bake("ann")
    assert task.run(to="ann") == [{"to": "ann"}]


def test_a_task_without_a_queue_can_run_but_cannot_be_sent() -> None:
    task: AsyncTask[...] = AsyncTask(None, "send_email", send_email)
    assert task.run("ann") == "Hello ann"
    for use in (lambda: task.delay("ann"), lambda: task.bake("ann").delay(), task.batch):
        with pytest.raises(UnboundTask, match="'send_email' has no queue yet") as caught:
            use()
        assert "bind(env)" in str(caught.value.next)
    with pytest.raises(RuntimeError, match="called like a function"):
        task("ann")
    assert repr(task) == "<AsyncTask None.send_email>"


def test_a_task_baked_before_it_has_a_queue_can_be_sent_later(jobs: JobQueue) -> None:
    task: AsyncTask[...] = AsyncTask(None, "send_email", send_email)
    baked = task.bake("ann")
    task.bind(jobs)
    assert baked.delay()
    assert bodies(jobs) == [{"to": "ann"}]


@pytest.mark.parametrize(
    ("args", "kwargs", "reason"),
    [
        ((), {"too": "ann"}, "unexpected argument 'too' (did you mean 'to'?)"),
        ((), {"to": "ann", "x": 1}, "unexpected argument 'x'"),
        (
            ("ann",),
            {"_delay_second": 5},
            "unexpected argument '_delay_second' (did you mean '_delay_seconds'?)",
        ),
        ((), {}, "missing a required argument: 'to'"),
        (("ann",), {"to": "ann"}, "multiple values for argument 'to'"),
    ],
)
def test_a_wrong_call_names_the_job_the_argument_and_the_signature(
    task: AsyncTask[...], args: tuple[Any, ...], kwargs: dict[str, Any], reason: str
) -> None:
    with pytest.raises(TypeError) as caught:
        task.delay(*args, **kwargs)
    takes = "it takes (to: str, subject: str = 'Hello') -> str"
    assert str(caught.value) == f"the job 'send_email': {reason}; {takes}"


def test_options_apply_to_the_message_and_do_not_change_the_task(fifo_jobs: JobQueue) -> None:
    task: AsyncTask[...] = fifo_jobs.connect_processor("send_email", send_email)
    options = task.options(group="g", deduplication_id="d", job_id="mail-17", content_type="pickle")
    options.delay("ann")
    options.bake("bea").delay()  # dropped as a duplicate
    task.options(deduplication_id="d2").delay("ann", subject="Hi")
    first, second = fifo_jobs.get_raw_messages()
    assert (first.group_id, first.deduplication_id, job_id_of(first)) == ("g", "d", "mail-17")
    assert first.string_attribute("ContentType") == "pickle"
    assert (second.group_id, json.loads(second.body)) == ("default", {"to": "ann", "subject": "Hi"})
    assert repr(task.options(delay=1)) == "<TaskWithOptions send_email {'_delay_seconds': 1}>"
    with pytest.raises(TypeError, match="unexpected argument 'body'"):
        options.delay("ann", body="x")
    with pytest.raises(MessageRefused, match="does not support a delay"):
        task.options(delay=5).delay("ann")


def test_a_delay_of_zero_overrides_the_delay_of_the_queue(
    jobs: JobQueue, task: AsyncTask[...]
) -> None:
    jobs.client.set_attributes({"DelaySeconds": "900"})
    task.delay("late")
    task.options(delay=0).delay("soon")
    assert bodies(jobs) == [{"to": "soon"}]


def test_async_methods_send_in_a_thread_with_the_context_of_the_caller(
    memory_env: SQSEnv, jobs: JobQueue, task: AsyncTask[...]
) -> None:
    threads: set[int] = set()
    jobs.client.boto3_client.meta.events.register(
        "provide-client-params.sqs.*", lambda **_: threads.add(threading.get_ident())
    )

    async def main() -> None:
        with memory_env.context(request_id="r1"):
            assert await task.adelay("ann")
            assert await task.options(job_id="mail-17").adelay("bea")
            assert await task.bake("cem").adelay()
        with pytest.raises(TypeError, match="unexpected argument 'body'"):
            await task.adelay("ann", body="x")
        async with task.batch():
            ids = await asyncio.gather(task.adelay("dan"), task.adelay("eva"))
            assert list(ids) == [None, None]

    asyncio.run(main())
    assert threads
    assert threading.get_ident() not in threads
    messages = jobs.get_raw_messages()
    assert {json.loads(message.body)["to"] for message in messages} == {
        *("ann", "bea", "cem", "dan", "eva")
    }
    contexts = {json.loads(m.body)["to"]: m.string_attribute("JobContext") for m in messages}
    assert contexts["ann"] == contexts["cem"] == '{"request_id": "r1"}'
    assert contexts["dan"] == "{}"
