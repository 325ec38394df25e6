"""sqsw and the released sqs-workers share queues: each runs the jobs that the other sends."""

import importlib.util
import json
import subprocess
import sys
import textwrap
from typing import Any

import pytest

from sqsw import (
    GiveUp,
    RawQueue,
    SQSEnv,
    create_fifo_queue,
    create_standard_queue,
    current_job,
    redrive,
)
from sqsw.core.message import Message
from sqsw.sqs_manage.create import create_queue
from sqsw.sqs_manage.peek import peek_messages
from sqsw.sqs_manage.selection import Selection
from tests.backends import Backend

if importlib.util.find_spec("sqs_workers") is None:
    pytest.skip(
        "sqs-workers is not installed: pip install sqs-workers==0.7.3", allow_module_level=True
    )

PREDECESSOR = """
import json, os
from sqs_workers import SQSEnv

env = SQSEnv(queue_prefix=os.environ["SQSW_QUEUE_PREFIX"])
seen = []
"""


@pytest.fixture(autouse=True)
def server(place: Backend) -> Backend:
    """Start a server that both can reach."""
    return place


@pytest.fixture
def env() -> SQSEnv:
    """Return an sqsw environment configured for the migration."""
    env = SQSEnv(accept=("json", "pickle", "pickle_compat"))
    create_standard_queue(env, "emails")
    create_fifo_queue(env, "emails.fifo")
    return env


def run_predecessor(script: str) -> Any:
    """Run a program with sqs-workers; return the contents of ``seen``."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            PREDECESSOR + textwrap.dedent(script) + "\nprint(json.dumps(seen))",
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def work(env: SQSEnv, queue_name: str, count: int) -> list[Any]:
    """Run this many jobs with sqsw; return their arguments."""
    seen: list[Any] = []

    @env.processor(queue_name, "send_email", pass_context=True)
    def send_email(to: str, number: int, context: Any) -> None:
        seen.append([to, number, dict(context)])

    for _ in range(count + 2):
        if len(seen) < count:
            assert env.process_batch(queue_name, wait_seconds=1).failed_count() == 0
    assert env.process_batch(queue_name).total_count() == 0
    return seen


#: A worker of sqs-workers.
WORK = """
@env.queue({queue_name!r}).processor("send_email", pass_context=True)
def send_email(to, number, context):
    seen.append([to, number, context.to_dict()])

for _ in range({count} + 2):
    if len(seen) < {count}:
        env.queue({queue_name!r}).process_batch(wait_seconds=1)
"""


@pytest.mark.parametrize("codec", ["json", "pickle", "pickle_compat"])
def test_sqsw_runs_jobs_from_sqs_workers(env: SQSEnv, codec: str) -> None:
    run_predecessor(
        f"""
        env.codec = {codec!r}
        @env.queue("emails").processor("send_email")
        def send_email(to, number): ...
        with env.context(remote_addr="127.0.0.1"):
            send_email.delay("ann@example.com", number=1)
        env.queue("emails").add_job("send_email", to="Grüße", number=2)
        """
    )
    assert sorted(work(env, "emails", 2)) == [
        ["Grüße", 2, {}],
        ["ann@example.com", 1, {"remote_addr": "127.0.0.1"}],
    ]


@pytest.mark.parametrize("codec", ["json", "pickle_compat"])
def test_sqsw_runs_batches_and_fifo_jobs_from_sqs_workers(env: SQSEnv, codec: str) -> None:
    run_predecessor(
        f"""
        env.codec = {codec!r}
        queue = env.queue("emails")
        with queue.add_batch():
            for number in range(12):
                queue.add_job("send_email", to="ann", number=number)
        fifo = env.queue("emails.fifo")
        with fifo.add_batch():
            for number in range(5):
                fifo.add_job("send_email", _deduplication_id=number, to="ann", number=number)
        """
    )
    assert sorted(work(env, "emails", 12)) == [["ann", number, {}] for number in range(12)]
    assert work(env, "emails.fifo", 5) == [["ann", number, {}] for number in range(5)]


@pytest.mark.parametrize("codec", ["json", "pickle", "pickle_compat"])
def test_sqs_workers_runs_jobs_from_sqsw(env: SQSEnv, codec: str) -> None:
    @env.processor("emails", "send_email")
    def send_email(to: str, number: int) -> None:
        raise AssertionError

    with env.context(remote_addr="127.0.0.1"):
        send_email.delay("ann@example.com", number=1, _content_type=codec)
    env.queue("emails").add_job("send_email", _content_type=codec, to="Grüße", number=2)
    seen = run_predecessor(WORK.format(queue_name="emails", count=2))
    assert sorted(seen) == [
        ["Grüße", 2, {}],
        ["ann@example.com", 1, {"remote_addr": "127.0.0.1"}],
    ]


@pytest.mark.parametrize("codec", ["json", "pickle_compat"])
def test_sqs_workers_runs_batches_and_fifo_jobs_from_sqsw(env: SQSEnv, codec: str) -> None:
    queue, fifo = env.queue("emails"), env.queue("emails.fifo")
    with queue.add_batch():
        for number in range(12):
            queue.add_job("send_email", _content_type=codec, to="ann", number=number)
    with fifo.add_batch():
        for number in range(5):
            fifo.add_job(
                "send_email",
                _content_type=codec,
                _deduplication_id=str(number),
                to="ann",
                number=number,
            )
    seen = run_predecessor(WORK.format(queue_name="emails", count=12))
    assert sorted(seen) == [["ann", number, {}] for number in range(12)]
    seen = run_predecessor(WORK.format(queue_name="emails.fifo", count=5))
    assert seen == [["ann", number, {}] for number in range(5)]


def test_a_queue_deduplicates_jobs_of_both_by_content(env: SQSEnv) -> None:
    attributes = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    env.sqs_client.create_queue(
        QueueName=env.get_sqs_queue_name("content.fifo"), Attributes=attributes
    )
    run_predecessor(
        """
        env.codec = "json"
        env.queue("content.fifo").add_job("send_email", to="ann", number=1)
        """
    )
    for _ in range(2):  # each with its own job id
        env.queue("content.fifo").add_job("send_email", to="ann", number=1)
    assert work(env, "content.fifo", 1) == [["ann", 1, {}]]


def test_job_ids_of_both(env: SQSEnv) -> None:
    ids: list[Any] = []

    @env.processor("emails", "send_email")
    def send_email(to: str, number: int) -> None:
        job = current_job()
        assert job is not None
        ids.append((job.job_id, job.job_id == job.id))

    run_predecessor('env.queue("emails").add_job("send_email", to="ann", number=1)')
    send_email.delay("ann", number=2, _job_id="order-17")
    for _ in range(4):
        if len(ids) < 2:
            assert env.process_batch("emails", wait_seconds=1).failed_count() == 0
    assert sorted(shared for _, shared in ids) == [False, True]
    assert ("order-17", False) in ids


@pytest.mark.parametrize("codec", ["json", "pickle", "pickle_compat"])
@pytest.mark.parametrize("suffix", ["", ".fifo"], ids=["standard", "fifo"])
def test_sqs_workers_runs_jobs_that_sqsw_dead_lettered_and_redrove(
    env: SQSEnv, codec: str, suffix: str
) -> None:
    name, dead = f"orders{suffix}", f"orders_dead{suffix}"
    create_queue(env, name, dead_letter_queue=dead, max_receives=3)
    options = {"_deduplication_id": "1"} if suffix else {}

    @env.processor(name, "send_email")
    def send_email(to: str, number: int) -> None:
        raise GiveUp("not yet")

    with env.context(remote_addr="127.0.0.1"):
        send_email.delay("Grüße", number=1, _content_type=codec, **options)
    assert env.process_batch(name, wait_seconds=1).failed_count() == 1
    (letter,) = peek_messages(env, dead, 1)
    assert letter.error is not None
    assert redrive(env, dead, selection=Selection(ids=frozenset({letter.job_id}))).moved == 1
    seen = run_predecessor(WORK.format(queue_name=name, count=1))
    assert seen == [["Grüße", 1, {"remote_addr": "127.0.0.1"}]]


def test_both_read_raw_messages_of_the_other(env: SQSEnv) -> None:
    run_predecessor(
        """
        from sqs_workers import RawQueue
        env.queue("emails", RawQueue).add_raw_job("Hello from there")
        """
    )
    (message,) = env.queue("emails").get_raw_messages(wait_seconds=2)
    assert isinstance(message, Message)
    assert message.body == "Hello from there"
    env.queue("emails").client.delete_batch([message])

    url = env.queue("emails").client.url
    env.queue("raw", RawQueue, queue_url=url).add_raw_job("Hello from here")
    seen = run_predecessor(
        """
        from sqs_workers import RawQueue
        queue = env.queue("emails", RawQueue)
        @queue.raw_processor()
        def processor(message):
            seen.append(message.body)
        queue.process_batch(wait_seconds=2)
        """
    )
    assert seen == ["Hello from here"]
