"""Jobs in pool processes: their errors and results arrive, whatever prevents pickling."""

import ctypes
import gc
import json
import os
import pickle
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import wraps
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from sqsw.batching import BatchMessages
from sqsw.core.errors import JobNotStarted, ProcessKilled, SQSError
from sqsw.core.events import EventBus, JobDone, JobFailed
from sqsw.core.jobs.runtime import FunctionCall
from sqsw.core.results import FailedJobs
from sqsw.core.settings import WorkerSettings
from sqsw.memory_sqs import MemorySession
from sqsw.processors import Processor
from sqsw.queue.job_queue import JobQueue
from sqsw.queue.work import work_queues
from sqsw.shutdown_policies import MaxTasksShutdown
from sqsw.sqs_env import SQSEnv
from sqsw.worker.executors.pool_answer import PoolAnswer
from sqsw.worker.executors.processes import ProcessExecutor
from tests.backends import wait_until


@dataclass(frozen=True)
class Frozen(Exception):
    """An error that takes no attributes, so no notes, and cannot be unpickled."""

    code: int


class Mute(Exception):
    """An error that cannot be unpickled and whose text cannot be read."""

    def __init__(self, *, code: int) -> None:
        super().__init__(code)

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Untrue(Exception):
    def __bool__(self) -> bool:
        return False


class Other(Exception):
    """An error that arrives as something else, or not at all."""

    def __init__(self, make: Any, *args: Any) -> None:
        super().__init__("as it was")
        self.made = make, args

    def __reduce__(self) -> Any:
        return self.made


def only_in_pool(wanted: bool) -> None:
    if (parent_process() is not None) is not wanted:
        raise KeyboardInterrupt("not here")


ERRORS: dict[str, tuple[BaseException, str]] = {
    "frozen": (Frozen(3), "Frozen: 3"),
    "mute": (Mute(code=3), "Mute"),
    "as_text": (Other(str, "x"), "Other: as it was"),
    "as_nothing": (Other(only_in_pool, False), "Other: as it was"),
    "unreadable": (Other(only_in_pool, True), "Other: as it was"),
    "unwritable": (Other(threading.Lock()), "Other: as it was"),
    "untrue": (Untrue("x"), "x"),
    "exit": (SystemExit(0), "0"),
    "interrupt": (KeyboardInterrupt("keys"), "keys"),
    "group": (ExceptionGroup("many", [Mute(code=3)]), "ExceptionGroup: many (1 sub-exception)"),
}


def fail(how: str) -> None:
    raise ERRORS[how][0]


async def fail_later() -> None:
    raise ValueError("late")


async def touch(path: str) -> None:
    Path(path).touch()


async def items() -> AsyncIterator[int]:
    yield 1


def give(how: str, path: str) -> object:
    """Return the jobs that are left to run, and a value that need not arrive."""
    values: dict[str, Any] = {
        "generator": lambda: (number for number in range(3)),
        "items": items,
        "late_failure": fail_later,
        "coroutine": lambda: touch(path),
        "lock": threading.Lock,
        "lost": lambda: Other(only_in_pool, True),
        "refusing": lambda: Other(exit, 3),
    }
    return values[how]()


def guard(function: Callable[..., object]) -> Callable[..., object]:
    @wraps(function)
    def guarded(**kwargs: object) -> object:
        raise PermissionError(f"guarded: {function(**kwargs)}")

    return guarded


@guard
def decorated() -> str:
    return "inside"


class Adding(Processor):
    """A processor with an attribute that the process cannot read."""

    def process(self, job_kwargs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        if self.job_name == "arguments":
            job_kwargs = {**job_kwargs, "how": Other(only_in_pool, False)}
        return super().process(job_kwargs, *args, **kwargs)


class Policy:
    """A backoff policy that cannot leave its process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def get_visibility_timeout(self, message: object) -> float:
        return 5


def name_failed(jobs: list[dict[str, Any]]) -> object:
    """Change all jobs, and report some as failed; ``of`` is the first, second or third of them."""
    jobs.sort(key=lambda job: job["of"])
    first, second, third = jobs
    how = first["how"]
    for job in jobs:
        job["why"] = threading.Lock() if how == "locks" else "changed"
    if how == "emptied":
        jobs.clear()
    if how == "raised":
        raise FailedJobs([dict(third)])
    if how == "lie":
        raise Other(FailedJobs, [])
    values: dict[str, Any] = {
        "some": [first],
        "locks": [first, third],
        "copies": (dict(second),),
        "strangers": [first, threading.Lock()],
        "policy": FailedJobs([first], Policy()),
        "emptied": [first, second],
        "no_jobs": [1, 2],
    }
    return values[how]


def queue_of(*args: Any, **kwargs: Any) -> JobQueue:
    env = SQSEnv(MemorySession(), processor_maker=Adding)
    env.sqs_client.create_queue(QueueName="jobs")
    queue: JobQueue = env.queue("jobs", *args, **kwargs)
    return queue


def run(queue: JobQueue, jobs: int) -> tuple[list[JobDone], list[JobFailed]]:
    """Return which jobs are done and which failed, in one pool process."""
    done: list[JobDone] = []
    failed: list[JobFailed] = []
    events = EventBus()
    events.subscribe(done.append, JobDone)
    events.subscribe(failed.append, JobFailed)
    work_queues(
        [queue],
        settings=WorkerSettings(concurrency=1),
        events=events,
        policy_of=lambda _: MaxTasksShutdown(jobs),
    )
    return done, failed


def test_an_error_or_an_unrun_job_is_a_failed_job(tmp_path: Path) -> None:
    queue = queue_of()
    fine = ["coroutine", "lock", "lost", "refusing"]
    expected = {
        **{how: text for how, (_, text) in ERRORS.items()},
        "generator": "returned a generator",
        "items": "returned a generator",
        "late_failure": "late",
        "arguments": "not here",
    }
    for how in (*expected, *fine):
        queue.connect_processor(how, fail if how in ERRORS else give, executor="process")
        queue.add_job(how, how=how, path=str(tmp_path / "ran"))
    queue.connect_processor("decorated", decorated, executor="process")
    queue.add_job("decorated")
    expected["decorated"] = "guarded: inside"
    done, failed = run(queue, len(expected) + len(fine))
    assert {str(event.job_name) for event in done} == set(fine)
    texts = {str(event.job_name): str(event.error) for event in failed}
    assert texts.keys() == expected.keys()
    assert [(how, texts[how]) for how, text in expected.items() if text not in texts[how]] == []
    assert (tmp_path / "ran").exists()


def test_failed_jobs_of_a_list_are_found_or_all_of_them_fail() -> None:
    queue = queue_of(batching_policy=BatchMessages(3))
    expected = {
        "some": "1",
        "locks": "13",
        "copies": "2",
        "strangers": "123",
        "policy": "123",
        "emptied": "12",
        "no_jobs": "",
        "raised": "3",
        "lie": "123",
    }
    for how in expected:
        queue.connect_processor(how, name_failed, executor="process")
        for of in (1, 2, 3):
            queue.add_job(how, how=how, of=of)
    _, failed = run(queue, 3 * len(expected))
    found = dict.fromkeys(expected, "")
    for event in failed:
        body = json.loads(event.message.body)
        found[body["how"]] += str(body["of"])
    assert {how: "".join(sorted(of)) for how, of in found.items()} == expected


def test_a_process_that_died_while_idle_costs_no_attempt() -> None:
    executor = ProcessExecutor()
    call = FunctionCall("jobs", "pid", "os", "getpid", (), {}, None)
    try:
        first = executor.call(call)
        assert executor.call(call) == first
        os.kill(int(str(first)), signal.SIGKILL)
        os.waitid(os.P_PID, int(str(first)), os.WEXITED | os.WNOWAIT)
        assert executor._free[0].stack() == f"  in process {first}, which has ended\n"
        assert executor.call(call) not in (first, os.getpid())
    finally:
        executor.stop(0)


def fork_and_die(path: str) -> None:
    """Fork a child that Python does not know; it survives and keeps the pipe open."""
    pid = ctypes.PyDLL(None).fork()
    if not pid:
        time.sleep(30)
        os._exit(0)
    Path(path).write_text(str(pid))
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_end_of_a_process_is_noticed_while_its_forked_child_lives(tmp_path: Path) -> None:
    executor, fork = ProcessExecutor(), tmp_path / "pid"
    names = ("jobs", "die", __name__, fork_and_die.__name__)
    begin = time.monotonic()
    try:
        with pytest.raises(ProcessKilled, match="ended before the job did: SIGKILL") as raised:
            executor.call(FunctionCall(*names, (), {"path": str(fork)}, None))
        assert time.monotonic() - begin < 25
        assert raised.value.exit_code == -signal.SIGKILL
    finally:
        os.kill(int(fork.read_text()), signal.SIGKILL)
        executor.stop(0)


def scribble(data: bytes) -> str:
    """Write to the pipe to the worker, like a job that guesses file descriptors."""
    for each in gc.get_objects():
        if isinstance(each, Connection) and each.writable and each.readable:
            each.send_bytes(data)
    return "the job"


@pytest.mark.parametrize(
    "data",
    [b"nonsense", pickle.dumps("of nobody"), pickle.dumps((1, "no answer")), pickle.dumps((7, 7))],
)
def test_a_process_whose_answers_match_no_call_is_replaced(data: bytes) -> None:
    executor = ProcessExecutor()
    pid = FunctionCall("jobs", "pid", "os", "getpid", (), {}, None)
    names = ("jobs", "scribble", __name__, scribble.__name__)
    try:
        first = executor.call(pid)
        with pytest.raises(SQSError, match="does not match the job"):
            executor.call(FunctionCall(*names, (), {"data": data}, None))
        assert executor.call(pid) not in (first, "the job")
    finally:
        executor.stop(0)


def test_a_repeated_answer_does_not_end_the_next_job() -> None:
    executor = ProcessExecutor()
    pid = FunctionCall("jobs", "pid", "os", "getpid", (), {}, None)
    names = ("jobs", "scribble", __name__, scribble.__name__)
    data = pickle.dumps((1, PoolAnswer.of_returned("early", ())))
    try:
        assert executor.call(FunctionCall(*names, (), {"data": data}, None)) == "early"
        with pytest.raises(SQSError, match="does not match the job"):
            executor.call(pid)
        assert isinstance(executor.call(pid), int)
    finally:
        executor.stop(0)


def test_jobs_wait_for_a_busy_process_if_no_other_can_be_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    executor = ProcessExecutor()
    pid = FunctionCall("jobs", "pid", "os", "getpid", (), {}, None)
    try:
        first = executor.call(pid)
        busy = threading.Thread(
            target=executor.call,
            args=(FunctionCall("jobs", "rest", __name__, rest.__name__, (), {}, None),),
        )
        busy.start()
        wait_until(lambda: bool(executor._busy), 10, "a busy process")

        def no_more(*_: object) -> None:
            raise OSError(24, "Too many open files")

        monkeypatch.setattr("multiprocessing.Pipe", no_more)
        executor.check()  # it works, but with a single process
        assert executor.call(pid) == first
        busy.join()
        os.kill(int(str(first)), signal.SIGKILL)
        os.waitid(os.P_PID, int(str(first)), os.WEXITED | os.WNOWAIT)
        with pytest.raises(JobNotStarted, match="no pool process"):
            executor.call(pid)
    finally:
        executor.stop(0)


def rest() -> None:
    time.sleep(1)


def fork_and_return() -> str:
    pid = os.fork()
    if not pid:
        return "the child"
    os.waitpid(pid, 0)
    return "the job"


def test_a_forked_child_does_not_answer_in_place_of_the_job() -> None:
    executor = ProcessExecutor()
    names = ("jobs", "fork", __name__, fork_and_return.__name__)
    try:
        assert executor.call(FunctionCall(*names, (), {}, None)) == "the job"
    finally:
        executor.stop(0)
