"""Coroutines share one event loop, whatever decorators wrap their functions."""

import asyncio
import contextvars
import functools
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from sqsw.batching import BatchMessages
from sqsw.context import current_job
from sqsw.core.errors import JobNotStarted, JobTimeout, SQSError
from sqsw.core.events import JobFailed
from sqsw.core.jobs.awaitables import is_coroutine_function
from sqsw.core.jobs.current_job import CurrentJob
from sqsw.processors import Processor
from sqsw.queue.job_queue import JobQueue
from sqsw.queue.raw_queue import RawQueue
from sqsw.shutdown_policies import MaxTasksShutdown
from sqsw.sqs_env import SQSEnv
from sqsw.worker.executors.base import OnDone
from sqsw.worker.executors.handover import Handover
from sqsw.worker.executors.inline import InlineExecutor
from sqsw.worker.executors.loop import LoopExecutor

T = TypeVar("T", bound=Callable[..., Any])

JOBS = 6

TENANT: contextvars.ContextVar[str] = contextvars.ContextVar("TENANT")

#: the loop and the context variable of each job
seen: list[tuple[asyncio.AbstractEventLoop, str]] = []


class Shared:
    """A lock that works on one event loop only, like a database client."""

    lock: asyncio.Lock


async def job(x: object) -> None:
    """Use the lock that all jobs share."""
    async with Shared.lock:
        await asyncio.sleep(0.01)
    assert current_job() is not None
    seen.append((asyncio.get_running_loop(), TENANT.get()))


def traced(function: T) -> T:
    """Wrap a function so that it returns the coroutine."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper  # type: ignore[return-value]  # like most decorators


def plain(x: object) -> Awaitable[None]:
    """Return the coroutine, without functools.wraps."""
    return job(x)


class CallableObject:
    async def __call__(self, x: object) -> None:
        await job(x)


class Unhashable:
    __hash__ = None  # type: ignore[assignment]  # like a dataclass

    async def __call__(self, x: object) -> None:
        await job(x)


class UnhashableWrapper:
    __hash__ = None  # type: ignore[assignment]  # as above

    def __call__(self, x: object) -> Awaitable[None]:
        return job(x)


class Later:
    """An awaitable that is not a coroutine."""

    def __init__(self, x: object) -> None:
        self.x = x

    def __await__(self) -> Generator[Any, None, None]:
        return job(self.x).__await__()


class Methods:
    async def bound(self, x: object) -> None:
        await job(x)

    @classmethod
    async def of_class(cls, x: object) -> None:
        await job(x)

    @staticmethod
    async def static(x: object) -> None:
        await job(x)

    @traced
    async def decorated(self, x: object) -> None:
        await job(x)


DECLARED: dict[str, Callable[..., Any]] = {
    "function": job,
    "nested_partial": functools.partial(functools.partial(job)),
    "object": CallableObject(),
    "unhashable_object": Unhashable(),
    "method": Methods().bound,
    "class_method": Methods.of_class,
    "static_method": Methods.static,
    "static_method_object": Methods.__dict__["static"],
    "partial_of_object": functools.partial(CallableObject()),
}
RETURNED: dict[str, Callable[..., Any]] = {
    "wrapper": traced(job),
    "two_wrappers": traced(traced(job)),
    "partial_of_wrapper": functools.partial(traced(job)),
    "decorated_method": Methods().decorated,
    "unhashable_wrapper": UnhashableWrapper(),
    "plain_function": plain,
    "awaitable": Later,
}
ALL = DECLARED | RETURNED


class Tenant:
    @contextmanager
    def around(self, job: CurrentJob) -> Iterator[None]:
        TENANT.set("ann")
        yield


@pytest.fixture(params=["worker", "process_batch"])
def run(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Return a function that runs the jobs of a queue."""
    seen.clear()
    Shared.lock = asyncio.Lock()

    def run(queue: JobQueue | RawQueue, calls: int = JOBS) -> None:
        if request.param == "process_batch":
            assert queue.process_batch().errors == []
            return
        queue.process_queue(
            shutdown_policy=MaxTasksShutdown(JOBS), wait_second=0, concurrency=calls
        )

    return run


def loops() -> int:
    return len({id(loop) for loop, _ in seen})


@pytest.mark.parametrize("way", ALL)
def test_jobs_share_the_loop_and_keep_their_context(
    memory_env: SQSEnv, jobs: JobQueue, run: Callable[..., None], way: str
) -> None:
    jobs.connect_processor("job", ALL[way], middlewares=[Tenant()])
    for number in range(JOBS):
        jobs.add_job("job", x=number)
    run(jobs)
    assert (loops(), [tenant for _, tenant in seen]) == (1, ["ann"] * JOBS)


@pytest.mark.parametrize("way", ALL)
def test_lists_and_raw_messages_share_the_loop_too(
    memory_env: SQSEnv, run: Callable[..., None], way: str
) -> None:
    memory_env.middlewares = [Tenant()]
    for name in ("raw", "lists"):
        memory_env.sqs_client.create_queue(QueueName=name)
    raw = memory_env.queue("raw", RawQueue)
    raw.connect_raw_processor(ALL[way])
    lists = memory_env.queue("lists", batching_policy=BatchMessages(JOBS))
    lists.connect_processor("job", ALL[way])
    for number in range(JOBS):
        raw.add_raw_job(str(number))
        lists.add_job("job", x=number)
    run(raw)
    assert (loops(), len(seen)) == (1, JOBS)
    seen.clear()
    Shared.lock = asyncio.Lock()
    run(lists)
    assert loops() == 1


def test_a_wrapper_runs_on_the_loop_after_it_has_returned_a_coroutine_once(jobs: JobQueue) -> None:
    jobs.connect_processor("job", traced(job), middlewares=[Tenant()])
    Shared.lock = asyncio.Lock()
    message_kinds = []
    for number in range(2):
        jobs.add_job("job", x=number)
        (message,) = jobs.get_raw_messages()
        message_kinds.append(jobs.look_up(message).runs_in)
        assert jobs.process_message(message).success  # type: ignore[union-attr]  # not a bool
    assert message_kinds == ["thread", "loop"]


def test_a_wrapper_that_runs_its_coroutine_itself_stays_in_a_thread(jobs: JobQueue) -> None:
    threads: list[str] = []

    async def inner(x: int) -> None:
        await asyncio.sleep(0)

    @functools.wraps(inner)
    def outer(x: int) -> None:
        threads.append(threading.current_thread().name)
        asyncio.run(inner(x))

    jobs.connect_processor("job", outer)
    for number in range(JOBS):
        jobs.add_job("job", x=number)
    failures: list[JobFailed] = []
    jobs.env.events.subscribe(failures.append, JobFailed)
    jobs.process_queue(shutdown_policy=MaxTasksShutdown(JOBS), wait_second=0)
    assert failures == []
    assert not any("loop" in name for name in threads)


def test_a_processor_gets_the_result_of_a_wrapped_coroutine(memory_env: SQSEnv) -> None:
    returned: list[object] = []

    class Noting(Processor):
        def process(self, job_kwargs: dict[str, Any]) -> None:
            returned.append(super().process(job_kwargs))

    async def answer(x: int) -> int:
        await asyncio.sleep(0)
        return x

    memory_env.processor_maker = Noting
    memory_env.sqs_client.create_queue(QueueName="jobs")
    jobs = memory_env.queue("jobs")
    jobs.connect_processor("job", traced(answer))
    for number in (1, 2):
        jobs.add_job("job", x=number)
        jobs.process_batch()
    assert returned == [1, 2]


@pytest.mark.parametrize("way", ["function", "wrapper", "plain_function"])
def test_a_time_limit_cancels_a_coroutine_and_waits_for_its_end(jobs: JobQueue, way: str) -> None:
    cleaned: list[str] = []

    async def slow(x: int) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            cleaned.append(way)

    def plain_slow(x: int) -> Awaitable[None]:
        return slow(x)

    ways = {"function": slow, "wrapper": traced(slow), "plain_function": plain_slow}
    jobs.connect_processor("job", ways[way], time_limit=0.2)
    jobs.add_job("job", x=1)
    failures: list[JobFailed] = []
    jobs.env.events.subscribe(failures.append, JobFailed)
    begin = time.monotonic()
    jobs.process_queue(shutdown_policy=MaxTasksShutdown(1), wait_second=0)
    assert time.monotonic() - begin < 10
    assert [type(failure.error) for failure in failures] == [JobTimeout]
    assert cleaned == [way]


def test_a_coroutine_does_not_run_if_its_time_ends_before_the_loop_takes_it(
    jobs: JobQueue,
) -> None:
    ran: list[int] = []
    is_blocked = threading.Event()

    async def block(x: int) -> None:
        is_blocked.set()
        time.sleep(1)

    async def note(x: int) -> None:
        ran.append(x)

    @functools.wraps(note)
    def wrapper(x: int) -> Any:
        is_blocked.wait(10)
        return note(x)

    jobs.connect_processor("block", block)
    jobs.connect_processor("note", wrapper, time_limit=0.3)
    for name in ("block", "note"):
        jobs.add_job(name, x=1)
    failures: list[JobFailed] = []
    jobs.env.events.subscribe(failures.append, JobFailed)
    jobs.process_queue(shutdown_policy=MaxTasksShutdown(2), wait_second=0, concurrency=2)
    assert [type(failure.error) for failure in failures] == [JobTimeout]
    assert ran == []


def generator(x: object) -> Generator[int, None, None]:
    yield 1


async def async_generator(x: object) -> Any:
    yield 1


async def forgetting_to_await(x: object) -> Any:
    return job(x)


async def forgetting_to_iterate(x: object) -> Any:
    return generator(x)


class GeneratorObject:
    def __call__(self, x: object) -> Any:
        yield 1


UNRUN: dict[str, Callable[..., Any]] = {
    "generator": traced(generator),
    "async_generator": traced(async_generator),
    "object": GeneratorObject(),
    "coroutine_of_a_coroutine": forgetting_to_await,
    "wrapped_coroutine_of_a_coroutine": traced(forgetting_to_await),
    "coroutine_of_a_generator": forgetting_to_iterate,
}


@pytest.mark.parametrize("kind", ["job", "list", "raw", "raw_list"])
@pytest.mark.parametrize("way", UNRUN)
def test_a_job_that_returns_something_unrun_fails(memory_env: SQSEnv, way: str, kind: str) -> None:
    memory_env.sqs_client.create_queue(QueueName="q")
    queue_class = RawQueue if kind.startswith("raw") else JobQueue
    batching = BatchMessages(1 + kind.endswith("list"))
    queue: Any = memory_env.queue("q", queue_class, batching)
    if isinstance(queue, RawQueue):
        queue.connect_raw_processor(UNRUN[way])
        queue.add_raw_job("x")
    else:
        queue.connect_processor("job", UNRUN[way])
        queue.add_job("job", x=1)
    (error,) = queue.process_batch().errors
    assert isinstance(error, TypeError)
    assert " returned a " in str(error)


@pytest.mark.parametrize("way", DECLARED)
def test_async_functions_are_recognized_before_they_run(way: str) -> None:
    assert is_coroutine_function(DECLARED[way])


@pytest.mark.parametrize("function", [len, Methods, CallableObject, Later, traced(job)])
def test_other_functions_are_not_recognized_as_async(function: Callable[..., Any]) -> None:
    assert not is_coroutine_function(function)


def test_a_coroutine_returned_by_a_thread_does_not_start_after_its_time_limit(
    memory_env: SQSEnv, jobs: JobQueue
) -> None:
    began: list[str] = []

    async def block() -> None:
        time.sleep(1)  # blocks the loop, as no job should

    async def inner() -> None:
        began.append("inner")

    def plain() -> Awaitable[None]:
        time.sleep(0.2)
        return inner()

    jobs.connect_processor("block", block)
    jobs.connect_processor("plain", plain, time_limit=0.5)
    for name in ("plain", "block"):
        jobs.add_job(name)
    failures: list[JobFailed] = []
    memory_env.events.subscribe(failures.append, JobFailed)
    jobs.process_queue(shutdown_policy=MaxTasksShutdown(2), wait_second=0, concurrency=2)
    assert [type(failure.error) for failure in failures] == [JobTimeout]
    assert began == []


def test_a_coroutine_returned_by_a_thread_fails_if_the_loop_has_ended() -> None:
    loop = LoopExecutor()
    loop._give_up(RuntimeError("a job closed it"))
    # The job has started. If it counted as not started, it would run again forever.
    with pytest.raises(SQSError, match="what the job returned") as raised:
        Handover(asyncio.sleep(0)).wait(loop, lambda: False)
    assert not isinstance(raised.value, JobNotStarted)


def test_a_coroutine_that_ignores_its_cancellation_does_not_keep_its_thread() -> None:
    class Deaf(InlineExecutor):
        def submit(self, calls: Sequence[Any], on_done: OnDone) -> None:
            for call in calls:
                call.runner = object()

    with pytest.raises(SQSError, match="the worker ended"):
        Handover(Later(0)).wait(Deaf(), lambda: True)
