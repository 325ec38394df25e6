# mypy: disable-error-code="no-untyped-def,no-untyped-call"
# The examples stand here as their readers write them, without annotations.
"""Batching: many tasks in few requests."""

from typing import Any

import pytest

from sqsw import SQSEnv, SQSError, create_standard_queue
from sqsw.core.limits import MAX_MESSAGE_BYTES
from tests.seed.conftest import receive, work

pytestmark = pytest.mark.usefixtures("place")


@pytest.fixture
def sqs() -> SQSEnv:
    env = SQSEnv()
    create_standard_queue(env, "emails")
    return env


@pytest.fixture
def calls(sqs: SQSEnv) -> list[int]:
    """Record the number of entries of each SendMessageBatch from now on."""
    found: list[int] = []

    def count(params: dict[str, Any], **_: object) -> None:
        found.append(len(params["Entries"]))

    sqs.sqs_client.meta.events.register("provide-client-params.sqs.SendMessageBatch", count)
    return found


def test_both_ways_of_batching_send_at_the_end(sqs: SQSEnv) -> None:
    queue = sqs.queue("emails")
    seen = []

    @queue.processor("send_email")
    def send_email(to, subject, body):
        seen.append(to)

    # Classic ("explicit") API
    with queue.add_batch():
        queue.add_job(
            "send_email", to="user1@example.com", subject="Hello world", body="hello world"
        )
        queue.add_job(
            "send_email", to="user2@example.com", subject="Hello world", body="hello world"
        )
        assert queue.process_batch().total_count() == 0

    # "Celery way"
    with send_email.batch():
        send_email.delay(to="user3@example.com", subject="Hello world", body="hello world")
        send_email.delay(to="user4@example.com", subject="Hello world", body="hello world")

    assert work(sqs, "emails", 4) == (4, 0)
    assert sorted(seen) == [f"user{n}@example.com" for n in (1, 2, 3, 4)]


def test_tasks_are_added_ten_at_a_time_and_without_message_ids(
    sqs: SQSEnv, calls: list[int]
) -> None:
    queue = sqs.queue("emails")
    with queue.add_batch():
        ids = [queue.add_job("send_email", number=number) for number in range(25)]
    assert ids == [None] * 25
    assert calls == [10, 10, 5]
    assert len(receive(queue, 25)) == 25


def test_a_batch_inside_a_batch_is_sent_with_the_outer_one(sqs: SQSEnv, calls: list[int]) -> None:
    queue = sqs.queue("emails")
    queue.open_add_batch()
    queue.add_job("send_email", number=1)
    with queue.add_batch():
        queue.add_job("send_email", number=2)
    assert calls == []
    queue.close_add_batch()
    assert calls == [2]


def test_a_batch_is_split_if_it_is_too_large_for_one_call(sqs: SQSEnv, calls: list[int]) -> None:
    queue = sqs.queue("emails")
    body = "x" * (MAX_MESSAGE_BYTES // 2 - 1000)
    try:
        queue.add_job("send_email", body=body)
    except SQSError as error:
        pytest.skip(f"this server has not heard of 1 MiB messages: {error}")
    with queue.add_batch():
        for _ in range(4):
            queue.add_job("send_email", body=body)
    assert calls == [2, 2]


def test_an_empty_batch_sends_nothing(sqs: SQSEnv, calls: list[int]) -> None:
    with sqs.queue("emails").add_batch():
        pass
    with sqs.queue("no-such-queue").add_batch():
        pass
    assert calls == []
