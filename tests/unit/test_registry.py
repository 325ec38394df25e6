"""Tasks that are declared before an environment exists."""

import json
from typing import Any

import pytest

from sqsw.core.errors import TaskAlreadyRegistered, UnboundTask
from sqsw.memory_sqs import MemorySession
from sqsw.queue.job_queue import JobQueue
from sqsw.registry import TaskRegistry
from sqsw.sqs_env import SQSEnv


def send_email(to: str) -> None: ...


def another(to: str) -> None: ...


def test_bound_tasks_can_be_sent_and_run(jobs: JobQueue) -> None:
    tasks = TaskRegistry()
    seen: list[Any] = []

    @tasks.task("jobs")
    def hello(name: str) -> None:
        seen.append(name)

    @tasks.task("jobs", "good_bye", pass_context=True, context_var="ctx")
    def bye(name: str, ctx: dict[str, Any]) -> None:
        seen.append((name, ctx["user"]))

    with pytest.raises(UnboundTask, match="'hello'"):
        hello.delay("ann")
    tasks.bind(jobs.env)  # type: ignore[arg-type]  # it is an SQSEnv
    with jobs.env.context(user=7):
        hello.delay("ann")
        bye.delay("ann")
    assert jobs.process_batch().succeeded_count() == 2
    assert sorted(map(str, seen)) == ["('ann', 7)", "ann"]
    assert [(r.queue_name, r.job_name) for r in jobs.env.registrations()] == [  # type: ignore[attr-defined]  # it is an SQSEnv
        ("jobs", "good_bye"),
        ("jobs", "hello"),
    ]


def test_a_registry_can_be_called_like_a_plugin(memory_env: SQSEnv) -> None:
    tasks = TaskRegistry()
    tasks.task("jobs")(send_email)
    with memory_env.registering_from("plugin 1.0"):
        tasks(memory_env)
    (registration,) = memory_env.registrations()
    assert (registration.fn, registration.source) == (send_email, "plugin 1.0")
    assert repr(tasks) == "<TaskRegistry of 1 tasks>"


def test_a_name_can_be_declared_once_per_queue(memory_env: SQSEnv) -> None:
    tasks = TaskRegistry()
    tasks.task("jobs", "send")(send_email)
    tasks.task("other", "send")(another)
    with pytest.raises(TaskAlreadyRegistered, match=r"'jobs\.send' is declared twice"):
        tasks.task("jobs", "send")(another)


def test_a_binding_is_all_or_nothing(memory_env: SQSEnv) -> None:
    memory_env.processor("jobs", "taken")(another)
    tasks = TaskRegistry()
    free = tasks.task("jobs", "free")(send_email)
    tasks.task("jobs", "taken")(send_email)
    with pytest.raises(TaskAlreadyRegistered, match=r"'jobs\.taken' is registered twice") as caught:
        tasks.bind(memory_env)
    for function in ("another", "send_email"):
        assert function in str(caught.value.why)
    assert [r.job_name for r in memory_env.registrations()] == ["taken"]
    assert memory_env.queue("jobs").get_processor("taken").fn is another  # type: ignore[union-attr]  # it is not None
    with pytest.raises(UnboundTask):
        free.delay("ann")


def test_binding_again_changes_nothing(memory_env: SQSEnv) -> None:
    tasks = TaskRegistry()
    tasks.task("jobs")(send_email)
    tasks.bind(memory_env)
    tasks.bind(memory_env)
    assert [r.fn for r in memory_env.registrations()] == [send_email]


def test_a_registry_bound_to_another_environment_sends_there(memory_env: SQSEnv) -> None:
    tasks = TaskRegistry()
    task = tasks.task("jobs")(send_email)
    tasks.bind(memory_env)
    elsewhere = SQSEnv(MemorySession())
    elsewhere.sqs_client.create_queue(QueueName="jobs")
    tasks.bind(elsewhere)
    task.delay("ann")
    (message,) = elsewhere.queue("jobs").get_raw_messages()
    assert json.loads(message.body) == {"to": "ann"}
