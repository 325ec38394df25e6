# mypy: disable-error-code="no-untyped-def,no-untyped-call"
# The examples stand here as their readers write them, without annotations.
"""Shutdown policies: when process_queue() returns."""

import pytest

from sqsw import SQSEnv, create_standard_queue
from sqsw.shutdown_policies import (
    ASAP_SHUTDOWN,
    NEVER_SHUTDOWN,
    AndShutdown,
    IdleShutdown,
    MaxTasksShutdown,
    NeverShutdown,
    OrShutdown,
)

pytestmark = pytest.mark.usefixtures("place")


@pytest.fixture
def sqs() -> SQSEnv:
    env = SQSEnv()
    create_standard_queue(env, "foo")
    return env


@pytest.fixture
def seen(sqs: SQSEnv) -> list[int]:
    found: list[int] = []

    @sqs.processor("foo", "count")
    def count(number):
        found.append(number)

    with count.batch():
        for number in range(3):
            count.delay(number)
    return found


def test_a_worker_stops_after_a_time_without_tasks(sqs: SQSEnv, seen: list[int]) -> None:
    sqs.queue("foo").process_queue(shutdown_policy=IdleShutdown(idle_seconds=0.2), wait_second=0)
    assert sorted(seen) == [0, 1, 2]


def test_a_worker_stops_after_a_number_of_tasks(sqs: SQSEnv, seen: list[int]) -> None:
    sqs.queue("foo").process_queue(MaxTasksShutdown(2), wait_second=0)
    assert len(seen) in (2, 3)  # at least max_tasks


def test_policies_can_be_combined(sqs: SQSEnv, seen: list[int]) -> None:
    both = AndShutdown(MaxTasksShutdown(3), IdleShutdown(0))
    one = OrShutdown(NeverShutdown(), NEVER_SHUTDOWN, both)
    sqs.queue("foo").process_queue(shutdown_policy=one, wait_second=0)
    assert sorted(seen) == [0, 1, 2]


def test_a_worker_can_stop_at_the_first_empty_receive(sqs: SQSEnv) -> None:
    sqs.queue("foo").process_queue(ASAP_SHUTDOWN, wait_second=0)


def test_a_custom_class_can_decide_too(sqs: SQSEnv, seen: list[int]) -> None:
    class AfterTheSecondReceive:
        def __init__(self):
            self.results = []

        def update_state(self, batch_processing_result):
            self.results.append(batch_processing_result.total_count())

        def need_shutdown(self):
            return self.results[-1:] == [0]

    policy = AfterTheSecondReceive()
    sqs.queue("foo").process_queue(policy, wait_second=0)
    assert sum(policy.results) == len(seen) == 3
