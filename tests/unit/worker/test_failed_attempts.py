"""A failed attempt releases its objects when it has been logged, without a garbage collection."""

import asyncio
import gc
import logging
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from sqsw.backoff_policies import ConstantBackoff
from sqsw.batching import BatchMessages
from sqsw.core.errors import SQSError
from sqsw.core.events import JobFailed
from sqsw.core.jobs.current_job import CurrentJob
from sqsw.core.results import FailedJobs, RetryJob
from sqsw.memory_sqs import MemorySession
from sqsw.queue.raw_queue import RawQueue
from sqsw.shutdown_policies import MaxTasksShutdown
from sqsw.sqs_env import SQSEnv

JOBS = 4


class Resource:
    """An object in a local variable of a job."""


class Failure(ValueError):
    """An error that can be weakly referenced, unlike built-in errors."""


held: list[weakref.ref[Any]] = []


def hold() -> Resource:
    """Return a resource, and watch when it is released."""
    resource = Resource()
    held.append(weakref.ref(resource))
    return resource


def plain(error: type[BaseException]) -> Callable[..., Any]:
    def fail(x: object) -> None:
        resource = hold()
        raise error(str(resource))

    return fail


def coroutine(error: type[BaseException]) -> Callable[..., Any]:
    async def fail(x: object) -> None:
        resource = hold()
        await asyncio.sleep(0)
        raise error(str(resource))

    return fail


def returning_a_coroutine(error: type[BaseException]) -> Callable[..., Any]:
    fail = coroutine(error)

    def call(x: object) -> Any:
        return fail(x)

    return call


def chained(error: type[BaseException]) -> Callable[..., Any]:
    def fail(x: object) -> None:
        resource = hold()
        try:
            raise error(str(resource))
        except BaseException as cause:
            raise KeyError("x") from cause

    return fail


def fail_elsewhere(x: object) -> None:
    raise Failure("in a process of the pool")


class Passing:
    @contextmanager
    def around(self, job: CurrentJob) -> Iterator[None]:
        yield


class Converting:
    @contextmanager
    def around(self, job: CurrentJob) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise OSError("converted") from error


class Swallowing:
    @contextmanager
    def around(self, job: CurrentJob) -> Iterator[None]:
        with suppress(Exception):
            yield


class Refusing:
    @contextmanager
    def around(self, job: CurrentJob) -> Iterator[None]:
        resource = hold()
        yield
        raise OSError(str(resource))


WAYS = [plain, coroutine, returning_a_coroutine, chained]
ERRORS = [ValueError, RetryJob, SystemExit, StopIteration]
AROUND: dict[str, dict[str, Any]] = {
    "two_middlewares": {"middlewares": [Passing(), Passing()]},
    "converting": {"middlewares": [Passing(), Converting(), Passing()]},
    "swallowing": {"middlewares": [Passing(), Swallowing()]},
    "refusing": {"middlewares": [Passing(), Refusing()]},
    "time_limit": {"time_limit": 60.0},
}


@contextmanager
def no_collection() -> Iterator[None]:
    held.clear()
    logging.disable(logging.CRITICAL)  # pytest keeps all records
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        logging.disable(logging.NOTSET)


@pytest.fixture(params=["worker", "process_batch"])
def run(request: pytest.FixtureRequest) -> Iterator[Callable[[SQSEnv], None]]:
    """Return a function that runs the jobs of ``jobs`` without the garbage collector."""

    def watch(event: JobFailed) -> None:
        if isinstance(event.error, Failure | SQSError):
            held.append(weakref.ref(event.error))

    def run(env: SQSEnv) -> None:
        env.events.subscribe(watch, JobFailed)
        if request.param == "process_batch":
            while env.process_batch("jobs").total_count():
                pass
            return
        policy = MaxTasksShutdown(JOBS)
        env.queue("jobs").process_queue(shutdown_policy=policy, wait_second=0, concurrency=3)

    with no_collection():
        yield run


def new_env() -> SQSEnv:
    env = SQSEnv(MemorySession(), backoff_policy=ConstantBackoff(300))
    env.sqs_client.create_queue(QueueName="jobs")
    return env


def alive() -> list[Any]:
    """Return the objects that are still held."""
    assert held
    return [thing for ref in held if (thing := ref()) is not None]


@pytest.mark.parametrize("takes_lists", [False, True], ids=["one", "list"])
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("way", WAYS)
def test_a_failed_job_releases_its_objects(
    run: Callable[[SQSEnv], None],
    way: Callable[[type[BaseException]], Any],
    error: type[BaseException],
    takes_lists: bool,
) -> None:
    env = new_env()
    queue = env.queue("jobs", batching_policy=BatchMessages(2) if takes_lists else None)
    queue.connect_processor("a", way(error))
    queue.connect_processor("b", way(error))
    for number in range(JOBS):
        queue.add_job("ab"[number % 2], x=number)
    run(env)
    assert alive() == []


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("way", [plain, coroutine])
def test_a_failed_job_with_code_around_it_releases_its_objects(
    run: Callable[[SQSEnv], None],
    way: Callable[[type[BaseException]], Any],
    around: str,
) -> None:
    env = new_env()
    queue = env.queue("jobs")
    queue.connect_processor("job", way(ValueError), **AROUND[around])
    for number in range(JOBS):
        queue.add_job("job", x=number)
    run(env)
    assert alive() == []


@pytest.mark.parametrize("takes_lists", [False, True], ids=["one", "list"])
@pytest.mark.parametrize("way", WAYS)
def test_a_failed_raw_message_releases_its_objects(
    run: Callable[[SQSEnv], None],
    way: Callable[[type[BaseException]], Any],
    takes_lists: bool,
) -> None:
    env = new_env()
    queue = env.queue("jobs", RawQueue, BatchMessages(2) if takes_lists else None)
    queue.connect_raw_processor(way(ValueError))
    for _ in range(JOBS):
        queue.add_raw_job("body")
    run(env)
    assert alive() == []


@pytest.mark.parametrize("way", ["timed_out", "named", "in_a_process", "unreadable"])
def test_every_kind_of_failure_releases_its_objects(
    run: Callable[[SQSEnv], None], way: str
) -> None:
    env = new_env()
    queue = env.queue("jobs", batching_policy=BatchMessages(2) if way == "named" else None)

    async def too_long(x: int) -> None:
        resource = hold()
        await asyncio.sleep(60)
        del resource

    def named(jobs: list[object]) -> None:
        resource = hold()
        raise FailedJobs(jobs[:1], ConstantBackoff(id(resource) and 300))

    if way == "timed_out":
        queue.connect_processor("job", too_long, time_limit=0.1)
    elif way == "in_a_process":
        queue.connect_processor("job", fail_elsewhere, executor="process")
    else:
        queue.connect_processor("job", named)
    for _ in range(JOBS):
        queue.add_raw_job("job", "{" if way == "unreadable" else '{"x": 1}')
    run(env)
    assert alive() == []


def test_an_idle_worker_holds_nothing_of_its_last_job() -> None:
    seen: list[list[Any]] = []

    class Idle:
        """A shutdown policy that checks when the worker is idle."""

        def __init__(self) -> None:
            self.empty = 0

        def update_state(self, result: Any) -> None:
            self.empty += not result.total_count()

        def need_shutdown(self) -> bool:
            if self.empty > 1:
                seen.append(alive())
            return self.empty > 1

    env = new_env()
    queue = env.queue("jobs")
    queue.connect_processor("plain", plain(ValueError))
    queue.connect_processor("coroutine", coroutine(ValueError))
    queue.add_job("plain", x=1)
    queue.add_job("coroutine", x=1)
    with no_collection():
        queue.process_queue(shutdown_policy=Idle(), wait_second=0)
    assert seen[0] == []
