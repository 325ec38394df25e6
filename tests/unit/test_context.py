"""The job context, and the current job."""

import asyncio
import threading
from typing import Any

import pytest

from sqsw.context import SQSContext, current_job, job_scope
from sqsw.core.jobs.current_job import CurrentJob
from sqsw.core.message import Message
from sqsw.queue.job_queue import JobQueue


def test_values_are_set_read_and_cleared() -> None:
    context = SQSContext(a=1)
    assert (context["a"], context.get("a"), "a" in context) == (1, 1, True)
    assert dict(context) == {**context} == context.to_dict()
    assert list(context) == list(context.to_dict())
    context["b"] = 2
    context.update(c=3)
    assert context.to_dict() == {"a": 1, "b": 2, "c": 3}
    del context["a"]
    assert "a" not in context
    context.set(d=4)
    assert context.to_dict() == {"d": 4}
    context.clear()
    assert context.to_dict() == {}
    assert (context.get("d"), context.get("d", 5)) == (None, 5)
    with pytest.raises(KeyError, match="d"):
        _ = context["d"]
    with pytest.raises(KeyError, match="d"):
        del context["d"]


def test_to_dict_returns_a_copy() -> None:
    context = SQSContext.from_dict({"a": 1})
    context.to_dict()["b"] = 2
    assert context.to_dict() == {"a": 1}


def test_a_with_block_adds_values_and_always_restores_the_old_ones() -> None:
    context = SQSContext(a=1)
    with context(a=2, b=3) as same:
        assert same is context
        assert context.to_dict() == {"a": 2, "b": 3}
        with context(c=4):
            assert context.to_dict() == {"a": 2, "b": 3, "c": 4}
        context["x"] = "set inside"
    assert context.to_dict() == {"a": 1}
    with pytest.raises(ValueError, match="inside"), context(a=2):
        raise ValueError("inside")
    assert context.to_dict() == {"a": 1}


def test_every_thread_has_its_own_values() -> None:
    context = SQSContext(a=1)
    context["b"] = 2
    seen: list[Any] = []

    def look() -> None:
        seen.append(context.to_dict())
        context["c"] = 3

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [{"a": 1}]
    assert context.to_dict() == {"a": 1, "b": 2}


def test_every_asyncio_task_inherits_values_and_has_its_own() -> None:
    context = SQSContext()

    async def child(number: int, turns: list[int]) -> dict[str, Any]:
        context["child"] = number
        await asyncio.sleep(0)
        turns.append(number)
        return context.to_dict()

    async def parent() -> tuple[list[dict[str, Any]], dict[str, Any], list[int]]:
        context["parent"] = True
        turns: list[int] = []
        found = await asyncio.gather(child(1, turns), child(2, turns))
        return list(found), context.to_dict(), turns

    found, own, turns = asyncio.run(parent())
    assert found == [{"parent": True, "child": 1}, {"parent": True, "child": 2}]
    assert own == {"parent": True}
    assert sorted(turns) == [1, 2]


def test_two_contexts_are_independent() -> None:
    first, second = SQSContext(), SQSContext()
    first["a"] = 1
    assert second.to_dict() == {}


def test_the_repr_shows_names_but_no_values() -> None:
    assert repr(SQSContext(user="ann", secret="42")) == "SQSContext(secret, user)"


def test_the_current_job_is_known_only_inside_its_scope() -> None:
    job = CurrentJob((Message("id", "handle", "body", queue_name="jobs"),), "hello", {"user": 7})
    assert current_job() is None
    with job_scope(job):
        assert current_job() is job
        assert (job.id, job.queue_name, job.receive_count) == ("id", "jobs", 1)
        assert not job.lease_lost.is_set()
    assert current_job() is None


@pytest.mark.parametrize("kind", ["function", "coroutine"])
def test_a_job_can_read_itself_and_its_context(jobs: JobQueue, kind: str) -> None:
    seen: list[CurrentJob | None] = []

    def function() -> None:
        seen.append(current_job())

    async def coroutine() -> None:
        await asyncio.sleep(0)
        seen.append(current_job())

    jobs.connect_processor("hello", function if kind == "function" else coroutine)
    with jobs.env.context(user=7):
        message_id = jobs.add_job("hello")
    jobs.process_batch()
    (job,) = seen
    assert job is not None
    assert (job.id, job.job_name, job.queue_name) == (message_id, "hello", "jobs")
    assert job.context == {"user": 7}
    assert current_job() is None


def test_jobs_sent_by_a_job_do_not_inherit_its_context(jobs: JobQueue) -> None:
    # The function can pass its own context on.
    contexts: list[Any] = []

    @jobs.processor("first", pass_context=True)
    def first(context: dict[str, Any]) -> None:
        jobs.add_job("second")
        with jobs.env.context(**context):
            jobs.add_job("second")

    @jobs.processor("second", pass_context=True)
    def second(context: dict[str, Any]) -> None:
        contexts.append(dict(context))

    with jobs.env.context(user=7):
        jobs.add_job("first")
    while jobs.process_batch().total_count():
        pass
    assert sorted(map(str, contexts)) == ["{'user': 7}", "{}"]
