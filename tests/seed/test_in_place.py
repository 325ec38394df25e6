# mypy: disable-error-code="no-untyped-def,no-untyped-call"
# The examples stand here as their readers write them, without annotations.
"""Processing a dead-letter queue by running its tasks in place."""

import pytest

from sqsw import IMMEDIATE_RETURN, SQSEnv, create_standard_queue
from sqsw.shutdown_policies import IdleShutdown

pytestmark = pytest.mark.usefixtures("place")


def test_processors_of_the_main_queue_run_dead_letters() -> None:
    env = SQSEnv(backoff_policy=IMMEDIATE_RETURN)
    create_standard_queue(env, "foo_dead")
    create_standard_queue(env, "foo", redrive_policy=env.redrive_policy("foo_dead", 1))
    foo = env.queue("foo")
    seen = []

    @foo.processor("hello_world")
    def hello_world(username):
        seen.append(username)
        if len(seen) == 1:
            raise ValueError("the main bug")

    hello_world.delay(username="Foo")
    foo.process_batch(wait_seconds=1)
    assert foo.process_batch().total_count() == 0  # the second receive moves it

    foo_dead = env.queue("foo_dead")
    foo.copy_processors(foo_dead)

    foo_dead.process_queue(shutdown_policy=IdleShutdown(0.1), wait_second=0)
    assert seen == ["Foo", "Foo"]
    assert foo_dead.process_batch().total_count() == 0
    copied = foo_dead.get_processor("hello_world")
    assert copied is not None
    assert copied.queue_name == "foo_dead"
