"""The environment: lazy, safe for threads, and with code taking precedence over variables."""

import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sqsw.backoff_policies import ConstantBackoff
from sqsw.batching import BatchMessages
from sqsw.core.errors import (
    AccessDenied,
    ContentTypeRefused,
    QueueNotFound,
    SettingsError,
    TaskAlreadyRegistered,
)
from sqsw.core.event_bus import RequestSent
from sqsw.deadletter_queue import DeadLetterQueue
from sqsw.memory_sqs import LocalSession, MemorySession
from sqsw.processors import Processor
from sqsw.queue.job_queue import JobQueue
from sqsw.queue.raw_queue import RawQueue
from sqsw.sqs_env import SQSEnv


class Untouchable:
    """A session that must not be used."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the session was asked for {name}")


def local_file(env: SQSEnv) -> str:
    """Return the path of the local file of an environment."""
    session = env.clients.session
    assert isinstance(session, LocalSession)
    return session.path


def test_creating_an_environment_and_registering_tasks_makes_no_calls() -> None:
    env = SQSEnv(Untouchable())
    task = env.queue("emails").connect_processor("send_email", print)
    env.raw_processor("cron")(print)
    env.queue("dead", DeadLetterQueue.maker(env.queue("emails")))
    env.redrive_policy("dead", 3)
    task.bake(end="")
    repr(env.queue("emails"))
    assert [r.job_name for r in env.registrations()] == [None, None, "send_email"]
    with pytest.raises(AssertionError, match="asked for"):
        task.delay(end="")


def test_without_a_region_the_first_use_raises() -> None:
    env = SQSEnv()
    with pytest.raises(SettingsError, match="no AWS region set"):
        env.queue("emails").add_job("send_email")


def test_without_credentials_the_first_call_raises() -> None:
    env = SQSEnv(region="eu-west-1")
    with pytest.raises(AccessDenied, match="no AWS credentials found"):
        env.queue("emails").add_job("send_email")


def test_a_missing_queue_in_a_local_file_is_reported_with_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SQSW_LOCAL", str(tmp_path / "local.db"))
    for is_new in (" (new, empty)", ""):
        with pytest.raises(QueueNotFound) as caught:
            SQSEnv().queue("mails").add_job("x")
        assert caught.value.message == (
            f"no queue named 'mails' in local file {tmp_path / 'local.db'}{is_new}"
        )
        assert "create_standard_queue(env, 'mails')" in str(caught.value.next)


def test_an_unknown_codec_is_refused_when_the_environment_is_created() -> None:
    with pytest.raises(ContentTypeRefused, match="'yaml'"):
        SQSEnv(codec="yaml")


# -- SQSW_LOCAL and SQSW_QUEUE_PREFIX -------------------------------------------------------------


def test_the_variable_sets_the_path_of_the_local_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SQSW_LOCAL", str(tmp_path / "queues.db"))
    assert local_file(SQSEnv()) == str(tmp_path / "queues.db")


def test_the_value_1_means_a_file_in_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SQSW_LOCAL", "1")
    assert local_file(SQSEnv()) == ".sqsw/local.db"


@pytest.mark.parametrize("value", ["", "0"])
def test_the_values_empty_and_0_mean_off(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SQSW_LOCAL", value)
    assert SQSEnv().clients.session is None


def test_a_session_in_code_wins_over_the_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SQSW_LOCAL", str(tmp_path / "queues.db"))
    session = MemorySession()
    assert SQSEnv(session).clients.session is session


def test_an_endpoint_in_code_wins_over_the_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SQSW_LOCAL", str(tmp_path / "queues.db"))
    env = SQSEnv(endpoint_url="http://127.0.0.1:1", region="r")
    assert env.clients.session is None
    assert env.location() == "http://127.0.0.1:1"


def test_the_variables_are_read_at_the_first_use_not_at_the_import(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    env = SQSEnv()
    monkeypatch.setenv("SQSW_LOCAL", str(tmp_path / "queues.db"))
    monkeypatch.setenv("SQSW_QUEUE_PREFIX", "late_")
    assert local_file(env) == str(tmp_path / "queues.db")
    assert env.get_sqs_queue_name("emails") == "late_emails"


def test_two_environments_on_one_file_share_their_queues(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SQSW_LOCAL", str(tmp_path / "queues.db"))
    first, second = SQSEnv(), SQSEnv()
    first.sqs_client.create_queue(QueueName="jobs")
    try:
        assert second.get_all_known_queues() == ["jobs"]
    finally:
        for env in (first, second):
            env.clients.session.close()


def test_the_variable_sets_the_prefix_unless_code_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SQSW_QUEUE_PREFIX", "dev_")
    assert SQSEnv().get_sqs_queue_name("emails") == "dev_emails"
    assert SQSEnv(queue_prefix="prod_").get_sqs_queue_name("emails") == "prod_emails"
    assert SQSEnv(queue_prefix="").get_sqs_queue_name("emails") == "emails"


def test_without_variables_there_is_no_prefix_and_no_file() -> None:
    env = SQSEnv()
    assert env.get_sqs_queue_name("emails") == "emails"
    assert env.clients.session is None


# -- queues ---------------------------------------------------------------------------------------


def test_a_queue_object_is_created_once_per_name(memory_env: SQSEnv) -> None:
    queue = memory_env.queue("emails")
    assert memory_env.queue("emails") is queue
    assert memory_env.queue("emails", JobQueue) is queue
    assert memory_env.queue("other") is not queue


def test_the_same_name_with_another_url_is_a_value_error(memory_env: SQSEnv) -> None:
    url = "http://sqsw.invalid/000000000000/elsewhere"
    queue = memory_env.queue("emails", queue_url=url)
    assert memory_env.queue("emails") is queue
    assert memory_env.queue("emails", queue_url=url) is queue
    with pytest.raises(ValueError, match="emails"):
        memory_env.queue("emails", queue_url=url + "2")
    memory_env.queue("plain")
    with pytest.raises(ValueError, match="plain"):
        memory_env.queue("plain", queue_url=url)


def test_a_queue_with_a_url_is_not_looked_up_by_its_name(memory_env: SQSEnv) -> None:
    url = memory_env.sqs_client.create_queue(QueueName="elsewhere")["QueueUrl"]
    queue = memory_env.queue("emails", queue_url=url)
    queue.connect_processor("print", print)
    queue.add_job("print", end="")
    assert memory_env.process_batch("emails").succeeded_count() == 1


def test_the_same_name_with_another_class_is_refused(memory_env: SQSEnv) -> None:
    memory_env.queue("cron", RawQueue)
    with pytest.raises(SettingsError, match="already a RawQueue"):
        memory_env.queue("cron", JobQueue)
    with pytest.raises(SettingsError, match="already a JobQueue"):
        memory_env.queue("emails").env.queue("emails", RawQueue)  # type: ignore[attr-defined]  # it is an SQSEnv


def test_a_queue_has_its_own_policies_or_those_of_its_environment(memory_env: SQSEnv) -> None:
    backoff, batching = ConstantBackoff(5), BatchMessages(3)
    own = memory_env.queue("own", JobQueue, batching, backoff)
    assert (own.backoff_policy, own.batching_policy) == (backoff, batching)
    assert own.takes_lists
    plain = memory_env.queue("plain")
    assert plain.backoff_policy is memory_env.backoff_policy
    assert not plain.takes_lists


def test_known_queues_are_those_with_the_prefix_listed_without_it() -> None:
    session = MemorySession()
    env = SQSEnv(session, queue_prefix="dev_")
    for name in ("dev_emails", "dev_sms.fifo", "prod_emails"):
        fifo = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
        env.sqs_client.create_queue(QueueName=name, Attributes=fifo)
    assert sorted(env.get_all_known_queues()) == ["emails", "sms.fifo"]
    assert len(SQSEnv(session).get_all_known_queues()) == 3


def test_all_pages_of_known_queues_are_read(memory_env: SQSEnv) -> None:
    for number in range(1003):
        memory_env.sqs_client.create_queue(QueueName=f"q{number}")
    assert len(memory_env.get_all_known_queues()) == 1003


def test_a_queue_is_found_by_its_name_its_url_and_its_arn(memory_env: SQSEnv) -> None:
    memory_env.connect_to(queue_prefix="dev_")
    url = memory_env.sqs_client.create_queue(QueueName="dev_emails")["QueueUrl"]
    arn = memory_env.get_queue_arn("emails")
    for text in ("emails", url, arn):
        client = memory_env.queue_client(text)
        assert (client.name, client.sqs_name, client.url) == ("emails", "dev_emails", url)
    with pytest.raises(QueueNotFound, match="'nowhere'"):
        memory_env.get_queue_arn("nowhere")


def test_a_password_in_a_url_is_not_shown(memory_env: SQSEnv) -> None:
    env = SQSEnv(endpoint_url="http://ann:p@ss@127.0.0.1:9324")
    assert env.location() == "http://127.0.0.1:9324"
    url = memory_env.sqs_client.create_queue(QueueName="emails")["QueueUrl"]
    client = memory_env.queue_client(url.replace("://", "://ann:secret@"))
    assert client.url == url
    assert client.attributes("QueueArn")


def test_registrations_are_listed_with_their_source(memory_env: SQSEnv) -> None:
    memory_env.processor("emails", "send_email", pass_context=True)(print)
    with memory_env.registering_from("a-plugin 1.0"):
        memory_env.processor("emails", "archive")(len)
        memory_env.raw_processor("cron")(repr)
    assert [
        (r.queue_name, r.job_name, r.fn, r.pass_context, r.source)
        for r in memory_env.registrations()
    ] == [
        ("cron", None, repr, False, "a-plugin 1.0"),
        ("emails", "archive", len, False, "a-plugin 1.0"),
        ("emails", "send_email", print, True, "app"),
    ]
    assert memory_env.registration_source == "app"


def test_the_context_and_the_processors_come_from_the_given_makers() -> None:
    from sqsw.context import SQSContext

    class MyContext(SQSContext):
        pass

    class MyProcessor(Processor):
        pass

    env = SQSEnv(MemorySession(), context_maker=MyContext, processor_maker=MyProcessor)
    assert isinstance(env.context, MyContext)
    env.queue("emails").connect_processor("print", print)
    assert isinstance(env.queue("emails").get_processor("print"), MyProcessor)


def test_jobs_can_be_added_by_queue_name(memory_env: SQSEnv) -> None:
    memory_env.sqs_client.create_queue(QueueName="emails")
    seen: list[Any] = []

    @memory_env.processor("emails", "send_email")
    def send_email(queue_name: str, job_name: str) -> None:
        seen.append((queue_name, job_name))

    # Arguments of a job can have any name, including the parameter names of this method.
    assert memory_env.add_job("emails", "send_email", queue_name="a", job_name="b")
    memory_env.process_batch("emails")
    assert seen == [("a", "b")]


def test_connecting_elsewhere_moves_all_queues(memory_env: SQSEnv) -> None:
    here, there = MemorySession(), MemorySession()
    env = SQSEnv(here)
    queue = env.queue("emails")
    SQSEnv(here).sqs_client.create_queue(QueueName="emails")
    SQSEnv(there).sqs_client.create_queue(QueueName="p_emails")
    queue.add_job("send_email")
    env.connect_to(session=there, queue_prefix="p_")
    assert queue.get_raw_messages() == []
    queue.add_job("send_email")
    assert len(queue.get_raw_messages()) == 1


# -- threads --------------------------------------------------------------------------------------


def in_threads(count: int, call: Callable[[int], Any]) -> list[Any]:
    """Call from this many threads at the same moment."""
    barrier = threading.Barrier(count)

    def run(number: int) -> Any:
        barrier.wait(10)
        return call(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_an_environment_can_be_reconnected_for_a_block() -> None:
    aws, memory = Untouchable(), MemorySession()
    env = SQSEnv(aws, queue_prefix="prod_", region="eu-west-1")
    queue = env.queue("emails")
    with (
        pytest.raises(ZeroDivisionError),
        env.connected_to(session=memory, queue_prefix="test_", region="local"),
    ):
        memory.client("sqs").create_queue(QueueName="test_emails")
        assert queue.client.url.endswith("/test_emails")
        raise ZeroDivisionError
    assert env.session is aws
    assert env.queue_prefix == "prod_"
    assert queue.get_sqs_queue_name() == "prod_emails"
    with pytest.raises(AssertionError, match="asked for"):
        queue.client.attributes()
    memory.close()


def test_many_threads_that_start_at_once_share_one_client_and_one_queue() -> None:
    made: list[str] = []

    class Counting(MemorySession):
        def client(self, *args: Any, **kwargs: Any) -> Any:
            made.append("client")
            return super().client(*args, **kwargs)

    env = SQSEnv(Counting())
    queues = in_threads(16, lambda _: (env.sqs_client, env.queue("emails")))
    assert len({id(client) for client, _ in queues}) == 1
    assert len({id(queue) for _, queue in queues}) == 1
    assert made == ["client"]


def test_many_threads_send_with_their_own_context_and_batch(jobs: JobQueue) -> None:
    def send(number: int) -> None:
        jobs.env.context["thread"] = number
        with jobs.add_batch():
            for index in range(11):
                jobs.add_job("count", index=index)

    in_threads(8, send)
    seen: list[tuple[int, int]] = []

    @jobs.processor("count", pass_context=True)
    def count(index: int, context: dict[str, int]) -> None:
        seen.append((context["thread"], index))

    while jobs.process_batch().total_count():
        pass
    assert sorted(seen) == [(thread, index) for thread in range(8) for index in range(11)]


def test_a_forked_child_creates_its_own_client() -> None:
    script = """
        import os
        from sqsw import MemorySession, SQSEnv
        env = SQSEnv(MemorySession())
        before = id(env.sqs_client)
        pid = os.fork()
        if pid == 0:
            os._exit(0 if id(env.sqs_client) != before else 1)
        print(os.waitpid(pid, 0)[1])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "0\n", done.stderr


def test_different_options_for_an_existing_queue_are_refused(
    memory_env: SQSEnv,
) -> None:
    queue = memory_env.queue("emails", accept=("json",))
    assert memory_env.queue("emails", accept=["json"]) is queue
    assert memory_env.queue("emails", backoff_policy=memory_env.backoff_policy) is queue
    for option in (
        {"accept": ("json", "pickle")},
        {"batching_policy": BatchMessages(5)},
        {"backoff_policy": ConstantBackoff(7)},
        {"queue_maker": DeadLetterQueue.maker(queue)},
    ):
        with pytest.raises(SettingsError):
            memory_env.queue("emails", **option)


def test_accept_must_be_a_list_and_not_a_str() -> None:
    with pytest.raises(SettingsError, match="list of content types"):
        SQSEnv(MemorySession(), accept="pickle_compat")


def test_a_similar_queue_name_with_jobs_is_suggested() -> None:
    env = SQSEnv(MemorySession())
    env.processor("emails", "send")(print)
    for call in (env.process_batch, lambda name: env.add_job(name, "send")):
        with pytest.raises(QueueNotFound) as caught:
            call("emials")
        assert caught.value.next == "did you mean 'emails'?"
    with pytest.raises(QueueNotFound) as caught:
        env.process_batch("emails")
    assert str(caught.value.next).startswith("create it: ")


def test_a_task_is_named_after_its_function_by_default(memory_env: SQSEnv) -> None:
    @memory_env.task(queue="emails", max_attempts=2)
    def send_email(to: str) -> None: ...

    @memory_env.task("emails", "send_later", pass_context=True, context_var="ctx")
    def send_email_later(to: str, ctx: Any) -> None: ...

    assert (send_email.job_name, send_email_later.job_name) == ("send_email", "send_later")
    processors = memory_env.job_queue("emails").processors
    assert processors["send_email"].max_attempts == 2
    assert processors["send_later"].context_var == "ctx"
    with pytest.raises(TaskAlreadyRegistered):
        memory_env.task("emails", "send_email")(print)
    with pytest.raises(TypeError, match="a job name must be a str"):
        memory_env.task("emails")(partial(print, "x"))
    with pytest.raises(TypeError, match="queue name"):
        memory_env.task(print)  # type: ignore[call-overload]  # the test


def test_connecting_looks_up_each_queue_once(memory_env: SQSEnv) -> None:
    for name in ("emails", "stock"):
        memory_env.sqs_client.create_queue(QueueName=name)
    send_email = memory_env.task("emails")(print)
    memory_env.task("stock", "take")(print)
    actions: list[str] = []
    memory_env.events.subscribe(lambda event: actions.append(event.action), RequestSent)

    memory_env.connect("emails")
    assert actions == ["GetQueueUrl"]
    memory_env.connect()
    assert actions == ["GetQueueUrl"] * 2
    del actions[:]
    send_email.options(job_id="x").delay()
    assert actions == ["SendMessage"]

    memory_env.task("nowhere", "go")(print)
    with pytest.raises(QueueNotFound, match="nowhere"):
        memory_env.connect()
