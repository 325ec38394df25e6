"""Middlewares around jobs."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from sqsw.batching import BatchMessages
from sqsw.context import current_job
from sqsw.core.jobs.current_job import CurrentJob
from sqsw.memory_sqs import MemorySession
from sqsw.queue.raw_queue import RawQueue
from sqsw.sqs_env import SQSEnv


class Noting:
    """Records when it is entered and left, and how."""

    def __init__(self, name: str, notes: list[str]) -> None:
        self.name = name
        self.notes = notes

    @contextmanager
    def around(self, job: CurrentJob) -> Iterator[None]:
        self.notes.append(f"{self.name} enters {job.job_name}")
        try:
            yield
        except ValueError:
            self.notes.append(f"{self.name} sees a failure")
            raise
        self.notes.append(f"{self.name} leaves")


class Refusing:
    """Fails before, or after, the job."""

    def __init__(self, before: bool) -> None:
        self.before = before

    @contextmanager
    def around(self, job: CurrentJob) -> Iterator[None]:
        if self.before:
            raise PermissionError("not today")
        yield
        raise PermissionError("not after all")


class Swallowing:
    """Swallows every ``ValueError``."""

    @contextmanager
    def around(self, job: CurrentJob) -> Iterator[None]:
        with suppress(ValueError):
            yield


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def env(notes: list[str]) -> SQSEnv:
    env = SQSEnv(MemorySession(), middlewares=[Noting("outer", notes), Noting("inner", notes)])
    env.sqs_client.create_queue(QueueName="jobs")
    return env


AROUND = ["outer enters hello", "inner enters hello", "hello", "inner leaves", "outer leaves"]
AROUND_A_FAILURE = [*AROUND[:3], "inner sees a failure", "outer sees a failure"]


@pytest.mark.parametrize("fails", [False, True])
def test_middlewares_wrap_a_function_in_order(env: SQSEnv, notes: list[str], fails: bool) -> None:
    @env.processor("jobs", "hello")
    def hello() -> None:
        notes.append("hello")
        if fails:
            raise ValueError

    hello.delay()
    assert env.process_batch("jobs").failed_count() == fails
    assert notes == (AROUND_A_FAILURE if fails else AROUND)


@pytest.mark.parametrize("fails", [False, True])
def test_middlewares_wrap_a_coroutine_in_order_until_its_end(
    env: SQSEnv, notes: list[str], fails: bool
) -> None:
    import asyncio

    @env.processor("jobs", "hello")
    async def hello() -> None:
        await asyncio.sleep(0)
        notes.append("hello")
        if fails:
            raise ValueError

    hello.delay()
    assert env.process_batch("jobs").failed_count() == fails
    assert notes == (AROUND_A_FAILURE if fails else AROUND)


def test_middlewares_wrap_a_list_of_jobs_once(env: SQSEnv, notes: list[str]) -> None:
    queue = env.queue("jobs", batching_policy=BatchMessages(10))
    queue.connect_processor("hello", lambda jobs: notes.append(f"{len(jobs)} jobs"))
    for _ in range(3):
        queue.add_job("hello")
    queue.process_batch()
    assert notes == [*AROUND[:2], "3 jobs", *AROUND[3:]]


def test_middlewares_wrap_raw_messages(env: SQSEnv, notes: list[str]) -> None:
    queue = env.queue("jobs", RawQueue)
    queue.connect_raw_processor(lambda message: notes.append(message.body))
    queue.add_raw_job("raw")
    queue.process_batch()
    assert notes == [
        *("outer enters None", "inner enters None"),
        *("raw", "inner leaves", "outer leaves"),
    ]


def test_middlewares_do_not_wrap_messages_without_a_processor(
    env: SQSEnv, notes: list[str]
) -> None:
    env.queue("jobs").client.send({"MessageBody": "nobody's"})
    env.queue("jobs").add_job("unknown")
    assert env.process_batch("jobs").failed_count() == 2
    assert notes == []


@pytest.mark.parametrize("before", [True, False])
def test_an_exception_in_a_middleware_fails_the_job(env: SQSEnv, before: bool) -> None:
    env.middlewares = [Refusing(before)]
    ran: list[str] = []

    @env.processor("jobs", "hello")
    def hello() -> None:
        ran.append("hello")

    hello.delay()
    assert env.process_batch("jobs").failed_count() == 1
    assert ran == ([] if before else ["hello"])


def test_a_middleware_that_swallows_an_exception_does_not_make_the_job_succeed(env: SQSEnv) -> None:
    env.middlewares = [Swallowing()]

    @env.processor("jobs", "hello")
    def hello() -> None:
        raise ValueError

    hello.delay()
    assert env.process_batch("jobs").failed_count() == 1


def test_a_middleware_can_read_the_current_job(env: SQSEnv) -> None:
    seen: list[CurrentJob | None] = []

    class Looking:
        @contextmanager
        def around(self, job: CurrentJob) -> Iterator[None]:
            seen.append(current_job())
            yield
            seen.append(current_job())

    env.middlewares = [Looking()]
    env.queue("jobs").connect_processor("hello", lambda: None)
    env.queue("jobs").add_job("hello")
    env.process_batch("jobs")
    assert [job.job_name for job in seen if job] == ["hello", "hello"]
    assert current_job() is None
