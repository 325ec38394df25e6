"""Jobs that exceed their time limit, in threads, on the event loop and in pool processes."""

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from sqsw.backoff_policies import ConstantBackoff
from sqsw.batching import BatchMessages
from sqsw.context import current_job
from sqsw.core.errors import JobTimeout
from sqsw.core.events import EventBus, JobDone, JobFailed, JobStuck
from sqsw.core.jobs.current_job import CurrentJob
from sqsw.core.results import RetryJob
from sqsw.core.settings import WorkerSettings
from sqsw.memory_sqs import MemorySession
from sqsw.middleware import time_limit
from sqsw.middleware.time_limit import TimeLimit
from sqsw.processors import Processor
from sqsw.queue.job_queue import JobQueue
from sqsw.queue.work import work_queues
from sqsw.shutdown_policies import MaxTasksShutdown
from sqsw.sqs_env import SQSEnv


class Sessions:
    """A user's middleware that records the exceptions of its jobs."""

    def __init__(self) -> None:
        self.seen: list[type[BaseException] | None] = []

    @contextmanager
    def around(self, job: CurrentJob) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.seen.append(type(error))
            raise
        self.seen.append(None)


@pytest.fixture
def sessions() -> Sessions:
    return Sessions()


@pytest.fixture
def queue(sessions: Sessions) -> JobQueue:
    env = SQSEnv(MemorySession(), middlewares=[sessions])
    env.sqs_client.create_queue(QueueName="jobs")
    return env.queue("jobs")


def run(queue: JobQueue, jobs: int, **settings: Any) -> tuple[list[Any], Any]:
    """Return how many jobs ended in which way, and the report of the worker."""
    ended: list[Any] = []
    events = EventBus()
    events.subscribe(ended.append, JobDone, JobFailed, JobStuck)
    report = work_queues(
        [queue],
        settings=WorkerSettings(**settings),
        events=events,
        policy_of=lambda _: MaxTasksShutdown(jobs),
    )
    return ended, report


def spin() -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        pass


def swallow() -> None:
    with suppress(Exception):
        spin()


async def sleep() -> None:
    await asyncio.sleep(60)


async def swallow_async() -> None:
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(60)


def fail() -> None:
    raise ValueError("no")


@pytest.mark.parametrize("job", [spin, swallow, sleep, swallow_async])
def test_a_job_that_runs_too_long_fails_with_job_timeout(
    queue: JobQueue, sessions: Sessions, job: Any
) -> None:
    queue.connect_processor("job", job, time_limit=0.2)
    queue.connect_processor("quick", lambda: None, time_limit=60)
    queue.add_job("job")
    queue.add_job("quick")
    begin = time.monotonic()
    ended, report = run(queue, 2, time_limit=30)
    assert time.monotonic() - begin < 20
    (failed,) = (event for event in ended if isinstance(event, JobFailed))
    assert isinstance(failed.error, JobTimeout)
    assert "0.2 seconds" in str(failed.error)
    assert (report.done, report.failed) == (1, 1)
    if job is spin:  # code inside the limit is left with the interruption
        assert sorted(map(str, sessions.seen)) == [str(JobTimeout), "None"]


def test_the_limit_of_the_worker_applies_to_jobs_without_their_own(queue: JobQueue) -> None:
    queue.connect_processor("job", spin)
    queue.add_job("job")
    ended, _ = run(queue, 1, time_limit=0.2)
    assert isinstance(ended[0].error, JobTimeout)


@pytest.mark.parametrize("error", [None, ValueError])
def test_a_job_within_its_limit_ends_normally(queue: JobQueue, error: Any) -> None:
    queue.connect_processor("job", fail if error else lambda: None, time_limit=30)
    queue.add_job("job")
    ended, _ = run(queue, 1)
    assert type(getattr(ended[0], "error", None)) is (error or type(None))


def test_an_interruption_hits_its_job_and_nothing_after_it() -> None:
    """Jobs end at about their limit. Whichever comes first, nothing is raised afterwards."""
    job = CurrentJob((), "job", {})
    alarms = time_limit._watchdog._alarms
    of_others = {key for key in alarms if alarms.get(key)}
    outcomes = set()
    for number in range(300):
        limit = TimeLimit(0.0005 + number * 1e-6)
        try:
            with limit.around(job):
                # Most take about as long as the limit, some long enough to exceed it on a busy
                # machine.
                end = time.monotonic() + (0.2 if number % 50 == 49 else 0.0006)
                while time.monotonic() < end:
                    pass
            outcomes.add("done")
        except JobTimeout:
            outcomes.add("timeout")
        for _ in range(50):  # a late interruption would be raised here
            pass
    assert "timeout" in outcomes
    assert {key for key in alarms if alarms.get(key)} <= of_others


def test_a_job_that_does_not_end_makes_the_worker_end(
    queue: JobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_limit, "STUCK_SECONDS", 0.3)
    go_on = threading.Event()

    def block() -> None:
        while not go_on.is_set():
            with suppress(JobTimeout):
                go_on.wait(60)

    queue.connect_processor("job", block, time_limit=0.1)
    queue.add_job("job")
    ended, report = run(queue, 99, drain_seconds=0.2)
    go_on.set()
    assert [type(event) for event in ended] == [JobStuck]
    assert (report.stopped_by, report.unfinished) == ("stuck_job", 1)


# Functions for pool processes, which import this module.


def note_place(folder: str) -> None:
    job = current_job()
    assert job is not None and job.runs_in == "process"
    (Path(folder) / f"{os.getpid()}-{job.job_name}-{job.receive_count}").touch()


def nothing() -> None:
    pass


def die() -> None:
    os._exit(7)


def give_back(jobs: list[dict[str, Any]]) -> object:
    """Return a value; the second time, one that cannot be pickled."""
    return threading.Lock() if jobs[0].get("lock") else [job["n"] for job in jobs]


def retry() -> None:
    raise RetryJob(ConstantBackoff(5))


def test_only_the_function_runs_in_the_pool_process(
    queue: JobQueue, sessions: Sessions, tmp_path: Path
) -> None:
    queue.connect_processor("note", note_place, executor="process")
    for _ in range(3):
        queue.add_job("note", folder=str(tmp_path))
    _, report = run(queue, 3, concurrency=1)
    assert report.done == 3
    (name,) = (path.name for path in tmp_path.iterdir())  # one process, for one job at a time
    pid, job_name, receives = name.split("-")
    assert int(pid) != os.getpid()
    assert (job_name, receives) == ("note", "1")
    assert sessions.seen == [None] * 3
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(
    ("function", "error"),
    [(fail, "no"), (die, "the process of the job ended before the job did"), (spin, "1 seconds")],
)
def test_what_a_pool_process_does_ends_only_its_own_job(
    queue: JobQueue, function: Any, error: str
) -> None:
    queue.connect_processor("job", function, executor="process", time_limit=1)
    queue.connect_processor("fine", nothing, executor="process")
    queue.add_job("job")
    queue.add_job("fine")
    ended, report = run(queue, 2, concurrency=1)
    (failed,) = (event for event in ended if isinstance(event, JobFailed))
    assert error in str(failed.error)
    assert report.done == 1
    if function is fail:
        assert isinstance(failed.error, ValueError)
        assert "raise ValueError" in "".join(failed.error.__notes__)


def test_a_process_can_ask_for_a_retry(queue: JobQueue) -> None:
    queue.connect_processor("job", retry, executor="process")
    queue.add_job("job")
    _, report = run(queue, 1)
    assert (report.retried, report.failed) == (1, 0)


def test_lists_run_in_the_pool_and_return_their_results(sessions: Sessions) -> None:
    returned: list[object] = []

    class Looking(Processor):
        def process_batch(self, jobs: list[dict[str, Any]]) -> Any:
            returned.append(super().process_batch(jobs))

    env = SQSEnv(MemorySession(), processor_maker=Looking)
    env.sqs_client.create_queue(QueueName="jobs")
    queue = env.queue("jobs", batching_policy=BatchMessages(2))
    queue.connect_processor("job", give_back, executor="process")
    for number in range(2):
        queue.add_job("job", n=number)
    run(queue, 2)
    queue.add_job("job", lock=True)
    run(queue, 1)
    assert sorted(returned[0]) == [0, 1]  # type: ignore[call-overload]  # a list of numbers
    assert returned[1:] == [None]


def test_a_coroutine_cannot_run_in_the_pool(queue: JobQueue) -> None:
    with pytest.raises(TypeError, match="cannot run in a pool process"):
        queue.connect_processor("job", sleep, executor="process")


def test_process_batch_runs_such_jobs_in_this_process(queue: JobQueue) -> None:
    ran: list[int] = []
    queue.connect_processor("job", lambda: ran.append(os.getpid()), executor="process")
    queue.add_job("job")
    queue.process_batch()
    assert ran == [os.getpid()]
