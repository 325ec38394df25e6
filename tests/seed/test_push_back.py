# mypy: disable-error-code="no-untyped-def,no-untyped-call"
# The examples stand here as their readers write them, without annotations.
"""Processing a dead-letter queue by pushing back failed messages."""

import pytest

from sqsw import (
    IMMEDIATE_RETURN,
    JobQueue,
    SQSEnv,
    create_fifo_queue,
    create_standard_queue,
)
from sqsw.deadletter_queue import DeadLetterQueue
from sqsw.shutdown_policies import IdleShutdown

pytestmark = pytest.mark.usefixtures("place")


def test_dead_letters_are_pushed_back_and_run_again() -> None:
    env = SQSEnv(backoff_policy=IMMEDIATE_RETURN)
    create_standard_queue(env, "foo_dead")
    create_standard_queue(env, "foo", redrive_policy=env.redrive_policy("foo_dead", 1))
    foo = env.queue("foo")
    assert isinstance(foo, JobQueue)
    seen = []

    @foo.processor("hello_world", pass_context=True)
    def hello_world(username, context=None):
        seen.append((username, context["remote_addr"]))
        if len(seen) == 1:
            raise ValueError("the main bug")

    with env.context(remote_addr="127.0.0.1"):
        hello_world.delay(username="Foo")
    foo.process_batch(wait_seconds=1)
    assert foo.process_batch().total_count() == 0  # the second receive moves it

    foo_dead = env.queue("foo_dead", DeadLetterQueue.maker(foo))
    foo_dead.process_queue(shutdown_policy=IdleShutdown(0.1), wait_second=0)

    assert foo_dead.process_batch().total_count() == 0
    assert foo.process_batch(wait_seconds=3).succeeded_count() == 1
    assert seen == [("Foo", "127.0.0.1")] * 2


def test_a_fifo_dead_letter_keeps_its_group_and_is_not_treated_as_a_duplicate() -> None:
    env = SQSEnv(backoff_policy=IMMEDIATE_RETURN)
    create_fifo_queue(env, "foo_dead.fifo")
    create_fifo_queue(env, "foo.fifo", redrive_policy=env.redrive_policy("foo_dead.fifo", 1))
    foo = env.queue("foo.fifo")
    seen = []

    @foo.processor("hello_world")
    def hello_world(username):
        seen.append(username)
        if len(seen) == 1:
            raise ValueError("the main bug")

    hello_world.delay(username="Foo", _deduplication_id="d", _group_id="g")
    foo.process_batch(wait_seconds=1)
    assert foo.process_batch().total_count() == 0

    foo_dead = env.queue("foo_dead.fifo", DeadLetterQueue.maker(foo))
    foo_dead.process_queue(shutdown_policy=IdleShutdown(0.1), wait_second=0)

    (message,) = foo.get_raw_messages(wait_seconds=2)
    assert message.group_id == "g"
    assert message.string_attribute("JobName") == "hello_world"
