"""Processing one job: decode the message, call the function, judge the result."""

import asyncio
import functools
import json
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from sqsw.backoff_policies import IMMEDIATE_RETURN, ConstantBackoff
from sqsw.batching import BatchMessages
from sqsw.codecs.envelope import pack_job
from sqsw.core.errors import ContentTypeRefused, DecodeError
from sqsw.core.message import Message
from sqsw.core.results import FailedJobs, ProcessingResult, RetryJob
from sqsw.memory_sqs import MemorySession
from sqsw.processors import Processor, as_result
from sqsw.queue.job_queue import JobQueue
from sqsw.queue.raw_queue import RawQueue
from sqsw.sqs_env import SQSEnv


def message(body: str | None = None, handle: str = "h", **attributes: str) -> Message:
    """Return a message with a job, or with this body and these attributes instead."""
    entry = pack_job("hello", {"name": handle}, {"user": handle})
    for name, value in attributes.items():
        entry["MessageAttributes"][name] = {"DataType": "String", "StringValue": value}
    return Message(
        "id",
        handle,
        entry["MessageBody"] if body is None else body,
        message_attributes=entry["MessageAttributes"],
    )


Make = Callable[..., Processor]


@pytest.fixture
def make(jobs: JobQueue) -> Make:
    """Return a function that makes a processor: ``make(fn, kind=Processor, **attributes)``."""

    def made(
        fn: Callable[..., Any], kind: type[Processor] = Processor, **keywords: Any
    ) -> Processor:
        return kind(queue=jobs, fn=fn, job_name="hello", **keywords)

    return made


# -- how a job ends -------------------------------------------------------------------------------


def test_any_return_value_is_a_success(make: Make) -> None:
    for value in (None, False, 0, "", RetryJob):
        result = make(lambda name, value=value: value).process_message(message())
        assert result == ProcessingResult(True)


@pytest.mark.parametrize(
    "error",
    [ValueError("x"), SystemExit(1), GeneratorExit(), RecursionError(), asyncio.CancelledError()],
    ids=lambda error: type(error).__name__,
)
def test_any_exception_is_a_failure_and_is_kept(make: Make, error: BaseException) -> None:
    def fail(name: str) -> None:
        raise error

    async def fail_later(name: str) -> None:
        await asyncio.sleep(0)
        raise error

    assert make(fail).process_message(message()) == ProcessingResult(False, error=error)
    if not isinstance(error, SystemExit | GeneratorExit):
        result = make(fail_later).process_message(message())
        assert type(result.error) is type(error)


def test_a_keyboard_interrupt_is_not_a_failure_of_the_job(make: Make) -> None:
    def interrupted(name: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(interrupted).process_message(message())


def test_a_requested_retry_has_its_backoff_and_no_error(make: Make) -> None:
    policy = ConstantBackoff(5)

    def again(name: str) -> None:
        raise RetryJob(policy)

    async def again_later(name: str) -> None:
        raise RetryJob

    assert make(again).process_message(message()) == ProcessingResult(False, policy)
    assert make(again_later).process_message(message()) == ProcessingResult(False)


def test_a_bool_from_an_old_override_is_a_result() -> None:
    assert as_result(True) == ProcessingResult(True)
    assert as_result(False) == as_result(None) == ProcessingResult(False)
    result = ProcessingResult(False, IMMEDIATE_RETURN)
    assert as_result(result) is result


# -- messages and arguments ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("broken", "kind", "reason"),
    [
        (message("{nonsense"), DecodeError, "the body is not valid json"),
        (message("[" * 100_000), DecodeError, "the body is not valid json"),
        (message("[1, 2]"), DecodeError, "the body is not a dictionary"),
        (message(JobContext="{nonsense"), DecodeError, "the context is not valid json"),
        (message(ContentType="yaml"), ContentTypeRefused, "'yaml' is not accepted"),
        (message(ContentType="pickle"), ContentTypeRefused, "'pickle' is not accepted"),
        (Message("id", "h", "{}"), DecodeError, "no attribute JobName"),
    ],
)
def test_an_unreadable_message_is_a_failure_with_its_reason(
    make: Make, broken: Message, kind: type[Exception], reason: str
) -> None:
    ran: list[Any] = []
    result = make(ran.append).process_message(broken)
    assert not result.success
    assert type(result.error) is kind
    assert reason in str(result.error)
    assert ran == []


def test_a_missing_argument_is_a_failure_and_an_extra_one_is_dropped(make: Make) -> None:
    seen: list[str] = []

    def takes_less() -> None:
        seen.append("less")

    def wants_more(name: str, subject: str) -> None:
        raise AssertionError

    assert make(takes_less).process_message(message()).success
    assert seen == ["less"]
    result = make(wants_more).process_message(message())
    assert isinstance(result.error, TypeError)
    assert "subject" in str(result.error)


def test_the_context_is_passed_only_if_requested(make: Make) -> None:
    seen: list[Any] = []

    def with_context(name: str, ctx: Mapping[str, Any]) -> None:
        seen.append((name, ctx["user"]))

    def without(name: str, context: object = "nothing") -> None:
        seen.append((name, context))

    make(with_context, pass_context=True, context_var="ctx").process_message(message())
    make(without).process_message(message())
    assert seen == [("h", "h"), ("h", "nothing")]


def test_the_context_can_be_read_as_in_sqs_workers(make: Make) -> None:
    seen: list[Any] = []

    def read(name: str, context: Any) -> None:
        seen.append((context["user"], context.get("user"), context.get("x"), context.get("x", 1)))

    assert make(read, pass_context=True).process_message(message()).success
    assert seen == [("h", "h", None, 1)]


def test_a_processor_keeps_its_attributes_and_can_be_copied(make: Make, jobs: JobQueue) -> None:
    processor = make(len, pass_context=True)
    copy = processor.copy(job_name="other")
    assert (copy.queue, copy.fn, copy.pass_context) == (jobs, len, True)
    assert (processor.job_name, copy.job_name) == ("hello", "other")
    assert processor.queue_name == "jobs"
    made = Processor.maker(context_var="ctx")(queue=jobs, fn=len)
    assert made.context_var == "ctx"


# -- overrides ------------------------------------------------------------------------------------


def test_an_override_can_take_the_context_or_omit_it(make: Make) -> None:
    seen: list[Any] = []

    class One(Processor):
        def process(self, job_kwargs: dict[str, Any]) -> Any:
            seen.append(("one", job_kwargs))
            return super().process(job_kwargs)

    class Two(Processor):
        def process(self, job_kwargs: dict[str, Any], job_context: Any = None) -> Any:
            seen.append(("two", job_kwargs, job_context))
            return super().process(job_kwargs, job_context)

    class Any_(Processor):
        def process(self, *args: Any) -> Any:
            seen.append(("any", *args))
            return super().process(*args)

    def hello(name: str, context: Any) -> None:
        seen.append((name, dict(context)))

    for kind in (One, Two, Any_):
        assert make(hello, kind, pass_context=True).process_message(message()).success
    called = ("h", {"user": "h"})
    assert seen == [
        *(("one", {"name": "h"}), called),
        *(("two", {"name": "h"}, {"user": "h"}), called),
        *(("any", {"name": "h"}, {"user": "h"}), called),
    ]


class Dropping(Processor):
    """An override written before ``async def`` was supported: it returns nothing."""

    def process(self, job_kwargs: dict[str, Any], job_context: Any = None) -> Any:
        super().process(job_kwargs, job_context)


class Answering(Processor):
    """Like ``Dropping``, but returns its own answer."""

    def process(self, job_kwargs: dict[str, Any], job_context: Any = None) -> Any:
        super().process(job_kwargs, job_context)
        return "done"


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("kind", [Dropping, Answering])
def test_an_override_that_drops_the_coroutine_is_a_failure(
    make: Make, kind: type[Processor]
) -> None:
    ran: list[str] = []

    async def hello(name: str) -> None:
        ran.append(name)

    processor = make(hello, kind)
    for result in (
        processor.process_message(message()),
        asyncio.run(processor.process_message_async(message())),
    ):
        assert not result.success
        assert "dropped the coroutine of 'hello'" in str(result.error)
        assert "return what super()" in str(result.error)
    assert ran == []


def test_the_same_override_works_for_a_function(make: Make) -> None:
    for kind in (Dropping, Answering):
        assert make(lambda name: None, kind).process_message(message()).success


def test_an_override_can_be_a_coroutine_function(make: Make) -> None:
    seen: list[str] = []

    class Awaiting(Processor):
        async def process(self, job_kwargs: dict[str, Any], job_context: Any = None) -> None:
            seen.append("before")
            await super().process(job_kwargs, job_context)
            seen.append("after")

    async def hello(name: str) -> None:
        await asyncio.sleep(0)
        seen.append(name)

    processor = make(hello, Awaiting)
    assert processor.is_async
    assert processor.process_message(message()).success
    assert asyncio.run(processor.process_message_async(message())).success
    assert seen == ["before", "h", "after"] * 2


# -- coroutines -----------------------------------------------------------------------------------


def test_a_coroutine_runs_to_its_end_in_a_thread_or_on_a_loop(make: Make) -> None:
    seen: list[str] = []

    async def hello(name: str) -> None:
        await asyncio.sleep(0)
        seen.append(name)

    processor = make(hello)
    assert processor.is_async
    assert not make(print).is_async
    assert processor.process_message(message()).success
    assert asyncio.run(processor.process_message_async(message())).success
    assert seen == ["h", "h"]


def test_a_returned_awaitable_is_awaited_even_if_the_function_is_not_async(make: Make) -> None:
    seen: list[str] = []

    async def work(name: str) -> None:
        await asyncio.sleep(0)
        seen.append(name)

    class Callable_:
        async def __call__(self, name: str) -> None:
            await work(name)

    def plain(name: str) -> Awaitable[None]:
        return work(name)

    for fn in (plain, functools.partial(work), Callable_()):
        assert make(fn).process_message(message()).success
    assert seen == ["h"] * 3


def test_process_batch_inside_a_running_loop_runs_coroutines(jobs: JobQueue) -> None:
    seen: list[Any] = []
    jobs.env.context["user"] = 7

    @jobs.processor("hello", pass_context=True)
    async def hello(name: str, context: Any = None) -> None:
        await asyncio.sleep(0)
        seen.append((name, context["user"], threading.current_thread() is main))

    main = threading.current_thread()

    async def test() -> int:
        hello.delay("ann")
        return jobs.process_batch().succeeded_count()

    assert asyncio.run(test()) == 1
    assert seen == [("ann", 7, False)]


def test_a_job_cancelled_by_its_worker_has_no_result(make: Make) -> None:
    async def endless(name: str) -> None:
        await asyncio.Event().wait()

    async def test() -> None:
        task = asyncio.create_task(make(endless).process_message_async(message()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(test())


def test_a_coroutine_that_cancels_itself_fails(make: Make) -> None:
    async def gives_up(name: str) -> None:
        inner = asyncio.create_task(asyncio.Event().wait())
        await asyncio.sleep(0)
        inner.cancel()
        await inner

    result = asyncio.run(make(gives_up).process_message_async(message()))
    assert isinstance(result.error, asyncio.CancelledError)


# -- lists ----------------------------------------------------------------------------------------


@pytest.fixture
def many(memory_env: SQSEnv) -> JobQueue:
    memory_env.sqs_client.create_queue(QueueName="many")
    return memory_env.queue("many", batching_policy=BatchMessages(25))


@pytest.mark.parametrize("is_async", [False, True])
def test_a_batch_function_gets_a_list_of_keyword_dictionaries(
    many: JobQueue, is_async: bool
) -> None:
    seen: list[Any] = []

    def hello(jobs: list[dict[str, Any]]) -> None:
        seen.append(sorted(job["number"] for job in jobs))

    async def hello_later(jobs: list[dict[str, Any]]) -> None:
        await asyncio.sleep(0)
        hello(jobs)

    many.connect_processor("hello", hello_later if is_async else hello)
    with many.add_batch():
        for number in range(25):
            many.add_job("hello", number=number)
    result = many.process_batch()
    assert result.succeeded_count() == 25
    assert seen == [list(range(25))]
    assert many.drain_queue() == 0


def test_lists_are_grouped_by_job_name_and_succeed_or_fail_as_a_whole(many: JobQueue) -> None:
    seen: list[Any] = []

    def good(jobs: list[dict[str, Any]]) -> None:
        seen.append(("good", len(jobs)))

    def bad(jobs: list[dict[str, Any]]) -> None:
        seen.append(("bad", len(jobs)))
        raise ValueError

    many.connect_processor("good", good)
    many.connect_processor("bad", bad)
    for name in ("good", "bad", "good", "bad", "unknown", "good"):
        many.add_job(name)
    result = many.process_batch()
    assert (result.succeeded_count(), result.failed_count()) == (3, 3)
    assert sorted(seen) == [("bad", 2), ("good", 3)]


def test_an_unreadable_message_does_not_fail_its_list(many: JobQueue) -> None:
    seen: list[Any] = []
    many.connect_processor("hello", seen.extend)
    many.add_job("hello", number=1)
    many.add_raw_job("hello", "{nonsense")
    many.add_job("hello", number=2)
    result = many.process_batch()
    assert (result.succeeded_count(), result.failed_count()) == (2, 1)
    assert [m.body for m in result.failed] == ["{nonsense"]
    assert sorted(job["number"] for job in seen) == [1, 2]


def test_a_list_can_request_a_retry(make: Make) -> None:
    policy = ConstantBackoff(5)

    def again(jobs: list[dict[str, Any]]) -> None:
        raise RetryJob(policy)

    messages = [message(handle="1"), message("{nonsense", handle="2"), message(handle="3")]
    first, second, third = make(again).process_messages(messages)
    assert first == third == ProcessingResult(False, policy)
    assert isinstance(second.error, DecodeError)


def test_every_job_of_a_list_has_its_own_context(make: Make) -> None:
    seen: list[Any] = []
    processor = make(seen.extend, pass_context=True)
    results = processor.process_messages([message(handle="1"), message(handle="2")])
    assert all(result.success for result in results)
    assert seen == [
        {"name": "1", "context": {"user": "1"}},
        {"name": "2", "context": {"user": "2"}},
    ]


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_an_override_for_lists_that_drops_the_coroutine_is_a_failure(make: Make) -> None:
    class DroppingLists(Processor):
        def process_batch(self, jobs: list[dict[str, Any]]) -> Any:
            super().process_batch(jobs)

    async def hello(jobs: list[dict[str, Any]]) -> None: ...

    (result,) = make(hello, DroppingLists).process_messages([message()])
    assert "dropped the coroutine of 'hello'" in str(result.error)


# -- custom processors -----------------------------------------------------------------------------


def test_a_custom_processor_is_called_and_its_result_counts() -> None:
    class Own:
        """A custom processor without a base class of sqsw."""

        is_async = False

        def __init__(self, queue: Any, fn: Callable[..., Any], job_name: str, **_: Any) -> None:
            self.fn, self.job_name = fn, job_name

        def process_message(self, message: Message) -> bool:
            self.fn(message.body)
            return False

    env = SQSEnv(MemorySession(), processor_maker=Own)
    env.sqs_client.create_queue(QueueName="jobs")
    seen: list[str] = []
    env.queue("jobs").connect_processor("hello", seen.append)
    env.queue("jobs").add_job("hello")
    assert env.process_batch("jobs").failed_count() == 1
    assert seen == ["{}"]


def test_a_recursive_job_fails_and_does_not_end_the_process(make: Make) -> None:
    def forever(name: str) -> None:
        forever(name)

    limit = sys.getrecursionlimit()
    assert isinstance(make(forever).process_message(message()).error, RecursionError)
    assert sys.getrecursionlimit() == limit


@pytest.mark.parametrize("way", ["return", "raise", "coroutine"])
def test_a_list_names_its_failed_jobs_and_the_rest_is_deleted(many: JobQueue, way: str) -> None:
    def keep_odd(jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        failed = [job for job in jobs if job["number"] % 2]
        if way == "raise":
            raise FailedJobs(failed, ConstantBackoff(0))
        return failed

    async def later(jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return keep_odd(jobs)

    many.connect_processor(
        "hello", later if way == "coroutine" else keep_odd, backoff_policy=ConstantBackoff(0)
    )
    with many.add_batch():
        for number in range(10):
            many.add_job("hello", number=number)
    result = many.process_batch()
    assert (result.succeeded_count(), result.failed_count()) == (5, 5)
    left = [json.loads(message.body)["number"] for message in many.get_raw_messages()]
    assert sorted(left) == [1, 3, 5, 7, 9]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_list_that_requests_a_retry_is_returned_as_a_whole(
    many: JobQueue, is_async: bool
) -> None:
    # sqs-workers deletes the list.
    def again(jobs: list[dict[str, Any]]) -> None:
        raise RetryJob(ConstantBackoff(0))

    async def again_later(jobs: list[dict[str, Any]]) -> None:
        again(jobs)

    many.connect_processor("hello", again_later if is_async else again)
    for number in range(3):
        many.add_job("hello", number=number)
    result = many.process_batch()
    assert (result.succeeded_count(), result.failed_count()) == (0, 3)
    assert len(many.get_raw_messages()) == 3


def test_a_raw_list_names_its_failed_messages(memory_env: SQSEnv) -> None:
    memory_env.sqs_client.create_queue(QueueName="raw")
    raw = memory_env.queue("raw", RawQueue, batching_policy=BatchMessages(10))
    raw.backoff_policy = ConstantBackoff(0)
    raw.connect_raw_processor(lambda messages: [m for m in messages if m.body != "good"])
    for body in ("good", "bad", "good"):
        raw.add_raw_job(body)
    result = raw.process_batch()
    assert (result.succeeded_count(), result.failed_count()) == (2, 1)
    assert [message.body for message in raw.get_raw_messages()] == ["bad"]


@pytest.mark.parametrize("is_async", [False, True])
def test_messages_behind_an_unreadable_one_of_their_group_wait(
    memory_env: SQSEnv, is_async: bool
) -> None:
    memory_env.sqs_client.create_queue(
        QueueName="many.fifo",
        Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"},
    )
    queue = memory_env.queue("many.fifo", batching_policy=BatchMessages(10))
    queue.backoff_policy = IMMEDIATE_RETURN
    ran: list[int] = []

    def hello(jobs: list[dict[str, Any]]) -> None:
        ran.extend(job["number"] for job in jobs)

    async def hello_later(jobs: list[dict[str, Any]]) -> None:
        hello(jobs)

    queue.connect_processor("hello", hello_later if is_async else hello)
    queue.add_job("hello", number=1)
    queue.add_raw_job("hello", "{broken")
    queue.add_job("hello", number=3)
    result = queue.process_batch()
    assert (result.succeeded_count(), result.failed_count()) == (1, 2)
    assert ran == [1]
    left = [message.body for message in queue.get_raw_messages()]
    assert left == ["{broken", '{"number": 3}']


def test_the_backoff_comes_from_the_failure_then_the_processor_then_the_queue(
    memory_env: SQSEnv,
) -> None:
    queue = memory_env.job_queue("one_by_one")
    of_failure, of_processor = ConstantBackoff(1), ConstantBackoff(2)

    def fail(job_name: str) -> None:
        raise RetryJob(of_failure) if job_name == "says" else ValueError

    for name, policy in (("says", of_processor), ("has", of_processor), ("neither", None)):
        queue.connect_processor(name, fail, backoff_policy=policy)

    def policy_of(name: str) -> object:
        made = message(json.dumps({"job_name": name}), JobName=name)
        (result,) = queue.handle([made])
        (later,) = asyncio.run(queue.handle_async([made]))
        assert result.backoff_policy is later.backoff_policy
        return result.backoff_policy

    assert policy_of("says") is of_failure
    assert policy_of("has") is of_processor
    assert policy_of("neither") is None  # the lane knows the policy of the queue
