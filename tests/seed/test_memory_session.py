# mypy: disable-error-code="no-untyped-def,no-untyped-call"
# The examples stand here as their readers write them, without annotations.
"""Unit tests with MemorySession, without the limitations that it had in sqs-workers."""

import json
import subprocess
import sys
import textwrap
import time

import pytest

from sqsw import (
    IMMEDIATE_RETURN,
    MemorySession,
    SQSEnv,
    SQSError,
    create_fifo_queue,
    create_standard_queue,
)


@pytest.fixture
def session() -> MemorySession:
    return MemorySession()


@pytest.fixture
def env(session: MemorySession) -> SQSEnv:
    return SQSEnv(session, backoff_policy=IMMEDIATE_RETURN)


def test_a_task_can_be_tested_without_aws() -> None:
    env = SQSEnv(MemorySession())
    create_standard_queue(env, "foo")
    side_effects = []

    @env.processor("foo", "hello_world")
    def hello_world(username):
        side_effects.append(username)

    def create_task():
        hello_world.delay(username="Foo")

    create_task()
    env.process_batch("foo")
    assert side_effects == ["Foo"]


def test_it_needs_no_credentials_no_region_and_no_network() -> None:
    script = """
        import socket
        def refuse(*_, **__): raise AssertionError("no network")
        socket.socket.connect = socket.create_connection = refuse
        from sqsw import SQSEnv, MemorySession, create_standard_queue
        env = SQSEnv(MemorySession())
        create_standard_queue(env, "foo")
        env.queue("foo").connect_processor("hello", print)
        env.queue("foo").add_job("hello", end="!")
        assert env.process_batch("foo").succeeded_count() == 1
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.returncode) == ("!", 0), done.stderr


def test_redrive_policies_work(env: SQSEnv) -> None:
    create_standard_queue(env, "foo_dead")
    create_standard_queue(env, "foo", redrive_policy=env.redrive_policy("foo_dead", 2))

    @env.processor("foo", "fail")
    def fail(x):
        raise ValueError(x)

    env.queue("foo").add_job("fail", x="no number")
    failures = [env.process_batch("foo").failed_count() for _ in range(4)]
    assert failures == [1, 1, 0, 0]
    (dead,) = env.queue("foo_dead").get_raw_messages()
    assert json.loads(dead.body) == {"x": "no number"}


def test_fifo_queues_keep_the_order_of_a_group_and_lock_it(env: SQSEnv) -> None:
    create_fifo_queue(env, "foo.fifo")
    queue = env.queue("foo.fifo")
    for number in range(5):
        queue.add_job("count", _deduplication_id=str(number), _group_id="g", number=number)
    first = queue.get_raw_messages(max_messages=2)
    assert [json.loads(m.body)["number"] for m in first] == [0, 1]
    assert queue.get_raw_messages() == []  # the group is locked while messages are in flight
    queue.client.delete_batch(first)
    assert [json.loads(m.body)["number"] for m in queue.get_raw_messages()] == [2, 3, 4]


def test_fifo_queues_refuse_what_aws_refuses(env: SQSEnv) -> None:
    create_fifo_queue(env, "foo.fifo")
    with pytest.raises(SQSError, match="deduplication id"):
        env.queue("foo.fifo").add_job("count", number=1)  # no id, and no deduplication by content
    with pytest.raises(SQSError):
        create_fifo_queue(env, "foo")  # the name does not end with .fifo


def test_fifo_queues_deduplicate_by_content_for_five_minutes(
    env: SQSEnv, session: MemorySession
) -> None:
    create_fifo_queue(env, "foo.fifo", content_based_deduplication=True)
    queue = env.queue("foo.fifo")
    queue.add_job("count", number=1)
    queue.add_job("count", number=1)
    queue.add_job("count", number=2)
    assert queue.drain_queue() == 2
    session.clock.advance(minutes=4, seconds=50)
    queue.add_job("count", number=1)
    assert queue.drain_queue() == 0
    session.clock.advance(minutes=1)
    queue.add_job("count", number=1)
    assert queue.drain_queue() == 1


def test_a_delayed_task_is_not_received_before_its_time(
    env: SQSEnv, session: MemorySession
) -> None:
    create_standard_queue(env, "foo")
    queue = env.queue("foo")
    queue.add_job("count", _delay_seconds=600, number=1)
    assert queue.get_raw_messages() == []
    assert queue.client.attributes()["ApproximateNumberOfMessagesDelayed"] == "1"
    session.clock.advance(seconds=601)
    (message,) = queue.get_raw_messages()
    # This is its first receive: it was never received and returned.
    assert message.receive_count == 1


def test_a_delayed_task_wakes_a_waiting_receive(env: SQSEnv) -> None:
    create_standard_queue(env, "foo")
    queue = env.queue("foo")
    queue.add_job("count", _delay_seconds=1, number=1)
    begin = time.monotonic()
    assert len(queue.get_raw_messages(wait_seconds=10)) == 1
    assert 0.5 < time.monotonic() - begin < 5


def test_the_api_answers_as_aws_does(env: SQSEnv) -> None:
    with pytest.raises(env.sqs_client.exceptions.QueueDoesNotExist):
        env.sqs_client.get_queue_url(QueueName="nowhere")
    create_standard_queue(env, "foo")
    answer = env.sqs_client.send_message(
        QueueUrl=env.queue("foo").client.url, MessageBody="Hello world"
    )
    assert answer["MD5OfMessageBody"] == "3e25960a79dbc69b674cd4ec67a72c62"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_two_sessions_are_separate_unless_they_share_their_queues() -> None:
    first, second = SQSEnv(MemorySession()), SQSEnv(MemorySession())
    create_standard_queue(first, "foo")
    assert first.get_all_known_queues() == ["foo"]
    assert second.get_all_known_queues() == []
    shared = SQSEnv(MemorySession(first.session.aws))
    assert shared.get_all_known_queues() == ["foo"]
