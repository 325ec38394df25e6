"""Names of jobs and queues: a name that cannot be sent cannot be registered."""

import enum
import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sqsw.core.errors import MessageRefused, SettingsError
from sqsw.queue.job_queue import JobQueue
from sqsw.queue.raw_queue import RawQueue
from sqsw.registry import TaskRegistry
from sqsw.sqs_env import SQSEnv


class Name(str, enum.Enum):  # noqa: UP042  # its str() is not its value
    HELLO = "hello"


def hello(name: str = "ann") -> None:
    """A job."""


Register = Callable[[SQSEnv, Any], Any]

WAYS: dict[str, Register] = {
    "env": lambda env, name: env.processor("jobs", name)(hello),
    "queue": lambda env, name: env.queue("jobs").processor(name)(hello),
    "connect": lambda env, name: env.queue("jobs").connect_processor(name, hello),
    "registry": lambda env, name: TaskRegistry().task("jobs", name)(hello),
}
SEND: dict[str, Register] = {
    "add_job": lambda env, name: env.queue("jobs").add_job(name),
    "add_raw_job": lambda env, name: env.queue("jobs").add_raw_job(name, "{}"),
    "env_add_job": lambda env, name: env.add_job("jobs", name),
}
BAD_TEXTS = ["", "a\0b", "\x1b[2J", "\ud800", "\uffff"]


@pytest.mark.parametrize("name", BAD_TEXTS)
@pytest.mark.parametrize("way", WAYS)
def test_a_name_that_cannot_be_sent_cannot_be_registered(
    jobs: JobQueue, memory_env: SQSEnv, way: str, name: str
) -> None:
    with pytest.raises(SettingsError, match=r"is not a valid job name") as caught:
        WAYS[way](memory_env, name)
    assert caught.value.why
    assert jobs.processors == {}


@pytest.mark.parametrize("name", BAD_TEXTS)
@pytest.mark.parametrize("way", SEND)
def test_a_job_with_an_invalid_name_cannot_be_sent(
    jobs: JobQueue, memory_env: SQSEnv, way: str, name: str
) -> None:
    with pytest.raises(MessageRefused, match="the attribute 'JobName'"):
        SEND[way](memory_env, name)


@pytest.mark.parametrize("name", [17, b"hello", hello, len, ["hello"]])
@pytest.mark.parametrize("way", [*WAYS, *SEND])
def test_a_name_that_is_not_a_str_is_refused(
    jobs: JobQueue, memory_env: SQSEnv, way: str, name: object
) -> None:
    with pytest.raises(TypeError, match=r"^a job name must be a str, not "):
        (WAYS | SEND)[way](memory_env, name)
    assert jobs.processors == {}


@pytest.mark.parametrize("way", ["env", "queue", "connect"])
def test_none_is_not_a_name(jobs: JobQueue, memory_env: SQSEnv, way: str) -> None:
    with pytest.raises(TypeError, match=r"^a job name must be a str, not a NoneType"):
        WAYS[way](memory_env, None)


def test_a_member_of_a_str_enum_stands_for_its_value(jobs: JobQueue, memory_env: SQSEnv) -> None:
    for way in ("env", "queue", "connect"):
        assert WAYS[way](memory_env, Name.HELLO).job_name == "hello"
    assert [*map(type, jobs.processors)] == [str]
    for send in SEND.values():
        send(memory_env, Name.HELLO)
    names = [jobs.look_up(message).name for message in jobs.get_raw_messages()]
    assert names == ["hello"] * len(SEND)


def test_group_and_deduplication_ids_can_be_enum_members_too(fifo_jobs: JobQueue) -> None:
    fifo_jobs.add_job("hello", _group_id=Name.HELLO, _deduplication_id=Name.HELLO)
    (message,) = fifo_jobs.get_raw_messages()
    assert (message.group_id, message.deduplication_id) == ("hello", "hello")


def test_a_decorator_without_parentheses_says_what_is_missing(memory_env: SQSEnv) -> None:
    decorators: list[Any] = [memory_env.queue("jobs").processor, TaskRegistry().task]
    decorators.append(memory_env.raw_processor)
    for decorator in decorators:
        with pytest.raises(TypeError, match=r"name must be a str, not a function.*@\w+\."):
            decorator(hello)


@pytest.mark.parametrize("name", ["", "a\0b", "a b", "a\n"])
def test_an_invalid_queue_name_is_refused(memory_env: SQSEnv, name: str) -> None:
    with pytest.raises(SettingsError, match="queue"):
        memory_env.queue(name)
    with pytest.raises(SettingsError, match="queue"):
        TaskRegistry().task(name)


def test_a_function_without_a_name_needs_a_job_name() -> None:
    with pytest.raises(TypeError, match="job name"):
        TaskRegistry().task("jobs")(functools.partial(hello, name="ben"))


class Methods:
    def make(self) -> Iterator[None]:
        yield

    @classmethod
    def of_class(cls) -> None:
        """Become a job when read from the class."""


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (
            Methods.__dict__["of_class"],
            r"of_class\(\) is decorated inside its class.*Class\.method",
        ),
        (17, "a job must be a function, not a int"),
        (Methods().make, "is a generator function"),
    ],
)
def test_a_function_that_can_never_run_is_refused_with_the_reason(
    memory_env: SQSEnv, function: Any, reason: str
) -> None:
    raw = memory_env.queue("raw", RawQueue)
    jobs = memory_env.queue("jobs")
    for register in (
        jobs.processor("job"),
        functools.partial(jobs.connect_processor, "job"),
        TaskRegistry().task("jobs", "job"),
        raw.raw_processor(),
        raw.connect_raw_processor,
    ):
        with pytest.raises(TypeError, match=reason):
            register(function)
