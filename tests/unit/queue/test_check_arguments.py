"""Jobs with ``check_arguments=False``."""

import functools
from collections.abc import Callable
from typing import Any

import pytest

from sqsw.app.opening import check_job
from sqsw.core.events import JobFailed
from sqsw.queue.job_queue import JobQueue
from sqsw.registry import TaskRegistry
from sqsw.shutdown_policies import MaxTasksShutdown
from sqsw.sqs_env import SQSEnv

seen: list[tuple[Any, ...]] = []


def injecting(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Replace one argument by another, without setting a signature."""

    @functools.wraps(fn)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        tenant = kwargs.pop("tenant")
        return fn(*args, db=f"database of {tenant}", **kwargs)

    return wrapper


@injecting
def send_email(to: str, db: str) -> None:
    seen.append((to, db))


@injecting
def with_context(to: str, db: str, context: dict[str, Any]) -> None:
    seen.append((to, db, context["user"]))


def use_registry(env: SQSEnv, **options: Any) -> Any:
    tasks: Any = TaskRegistry()
    task = tasks.task("jobs", "job", **options)(send_email)
    tasks.bind(env)
    return task


WAYS: dict[str, Callable[..., Any]] = {
    "env": lambda env, **options: env.processor("jobs", "job", **options)(send_email),
    "queue": lambda env, **options: env.queue("jobs").processor("job", **options)(send_email),
    "connect": lambda env, **options: env.queue("jobs").connect_processor(
        "job", send_email, **options
    ),
    "registry": use_registry,
}


@pytest.mark.parametrize("executor", ["auto", "process"])
@pytest.mark.parametrize("way", WAYS)
def test_keywords_arrive_as_they_were_sent(
    jobs: JobQueue, memory_env: SQSEnv, way: str, executor: str
) -> None:
    seen.clear()
    task = WAYS[way](memory_env, check_arguments=False, executor=executor)
    task.delay(to="ann", tenant="t1")
    task.delay("ben", tenant="t2")
    task.bake("cleo", tenant="t3").delay()
    check_job(memory_env, "jobs", "job", {"to": "ann", "tenant": "t1"})
    failures: list[JobFailed] = []
    memory_env.events.subscribe(failures.append, JobFailed)
    if executor == "auto":
        assert memory_env.process_batch("jobs").errors == []
        assert sorted(seen) == [
            ("ann", "database of t1"),
            ("ben", "database of t2"),
            ("cleo", "database of t3"),
        ]
    elif way == "queue":  # only once: a process takes a second to start
        jobs.process_queue(shutdown_policy=MaxTasksShutdown(3), wait_second=0)
        assert failures == []


def test_with_a_check_the_same_calls_are_refused(jobs: JobQueue, memory_env: SQSEnv) -> None:
    task = jobs.connect_processor("job", send_email)
    with pytest.raises(TypeError, match="tenant"):
        task.delay(to="ann", tenant="t1")


def test_the_context_is_still_passed(jobs: JobQueue, memory_env: SQSEnv) -> None:
    seen.clear()
    jobs.connect_processor("job", with_context, True, check_arguments=False)
    with memory_env.context(user="eve"):
        jobs.add_job("job", to="ann", tenant="t1")
    assert jobs.process_batch().errors == []
    assert seen == [("ann", "database of t1", "eve")]


def test_a_call_that_does_not_fit_fails_the_job(jobs: JobQueue) -> None:
    def plain(to: str) -> None:
        raise AssertionError("it was called")

    task: Any = jobs.connect_processor("job", plain, check_arguments=False)
    task.delay(surplus=1)
    (error,) = jobs.process_batch().errors
    assert isinstance(error, TypeError)
